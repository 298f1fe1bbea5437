//! Nacos as a tree, so that all that is true of trees is true of it: registering, merging, repairing and
//! reading both levels of Dubbo's layouts are written once. [`Place`] says what its paths mean.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::convert::identity;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rpc_core::Error;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};

use super::connection::NacosConnection;
use super::followed_service::FollowedService;
use super::messages::{NacosHost, NacosService};
use super::naming::{KnownHost, Naming};
use super::place::{Place, interface_of, is_application};
use super::refusal::NacosRefusal;
use super::settings::{NacosSetting, Settings};
use super::unread_list::UnreadList;
use crate::backend::Demand;
use crate::dubbo::{
    DubboUrl, NodeName, NodeSink, NodeTree, ReadChildren, ReadOf, ServiceInstance, TreeMark,
    TreeNode, ValueSink, encode_form, from_nacos_metadata, to_nacos_metadata,
};
use crate::joint_work::JointWork;
use crate::off_thread::off_thread_if_long;
use crate::sound;

/// The shortest time between two lists of a service that are handed on.
const LIST_GAP: Duration = Duration::from_millis(100);

/// How long after our own connection others have theirs again: a server that was restarted lists only whom it
/// has heard of since.
const ALL_BACK: Duration = Duration::from_secs(4);

/// The values of the children of a path.
type ValuesByName = HashMap<NodeName, Bytes>;

/// One connection with a Nacos server, as a tree.
pub(super) struct NacosTree {
    connection: Arc<NacosConnection>,
    naming: Arc<Naming>,
    settings: Settings,
    /// Lists of which an entry is wanted, by path.
    lists: JointWork<Arc<ValuesByName>>,
    opened: Instant,
    _tasks: JoinSet<()>,
}

impl NacosTree {
    pub(super) fn new(
        connection: NacosConnection,
        (namespace, group): (&Arc<str>, &Arc<str>),
        demand: &Demand,
    ) -> Self {
        let connection = Arc::new(connection);
        let place = (namespace, group);
        let (naming, leaving) = Naming::new(Arc::clone(&connection), place, demand.check_holds());
        let settings = Settings::new(Arc::clone(&connection), namespace);
        let mut tasks = JoinSet::new();
        tasks.spawn(leaving);
        let (lists, opened) = (JointWork::default(), Instant::now());
        Self { connection, naming, settings, lists, opened, _tasks: tasks }
    }

    fn place(path: &str) -> Result<Place, Error> {
        Place::of(path).ok_or_else(|| Error::invalid_config(format!("Nacos has no place `{path}`")))
    }

    fn setting(path: &str) -> Result<NacosSetting, Error> {
        match Self::place(path)? {
            Place::Value(setting) => Ok(setting),
            _ => Err(Error::invalid_config(format!("`{path}` has no value in Nacos"))),
        }
    }

    /// The service of an owned node, and what is listed there for it.
    fn entry(path: &str, value: &[u8]) -> Result<(String, String, NacosHost), Error> {
        let wrong = |why: String| Error::invalid_config(format!("`{}`: {why}", sound::plain(path)));
        let (parent, name) =
            Place::of_child(path).ok_or_else(|| wrong("Nacos has no such place".to_owned()))?;
        let (service, host) = match parent {
            Place::Urls { service } => {
                let url = DubboUrl::from_node_name(name).map_err(wrong)?;
                (service, host_of_url(url))
            }
            Place::Processes { application } => {
                let record = ServiceInstance::from_json(value).map_err(wrong)?;
                let record = record.ok_or_else(|| wrong("it is no record".to_owned()))?;
                (application, host_of_record(record))
            }
            _ => return Err(wrong("nothing ends with a session there".to_owned())),
        };
        Ok((service, name.to_owned(), host))
    }
}

#[async_trait]
impl NodeTree for NacosTree {
    async fn put_owned(&self, path: &str, value: Bytes) -> Result<(), Error> {
        let (service, name, host) = Self::entry(path, &value)?;
        self.naming.put(&service, &name, &host).await
    }

    async fn remove_owned(&self, path: &str) -> Result<(), Error> {
        match Place::of_child(path) {
            Some((Place::Urls { service } | Place::Processes { application: service }, name)) => {
                self.naming.remove(&service, name).await
            }
            _ => Ok(()),
        }
    }

    async fn edit(
        &self,
        path: &str,
        edit: &(dyn for<'a> Fn(Option<&'a [u8]>) -> Option<Bytes> + Send + Sync),
    ) -> Result<(), Error> {
        let setting = Self::setting(path)?;
        let edit = |present: Option<&str>| {
            let text = edit(present.map(str::as_bytes))?;
            // Dubbo's values are JSON, YAML and names.
            Some(String::from_utf8_lossy(&text).into_owned())
        };
        match names_its_value(path) {
            true => self.settings.replace(&setting, &edit).await,
            false => self.settings.edit(&setting, &edit).await,
        }
    }

    async fn remove_lasting(&self, path: &str) -> Result<(), Error> {
        self.settings.remove(&Self::setting(path)?).await
    }

    async fn value(&self, path: &str) -> Result<Option<Bytes>, Error> {
        if let Some((parent, name)) = path.rsplit_once('/')
            && let Some(place @ (Place::Urls { .. } | Place::Processes { .. })) = Place::of(parent)
        {
            return self.listed(parent, place, name).await;
        }
        let setting = Self::setting(path)?;
        let value = match names_its_value(path) {
            // Somebody has named its revision, so it was set.
            true => self.settings.value_just_set(&setting).await?,
            false => self.settings.value(&setting).await?,
        };
        Ok(value.map(|value| value.text.into()))
    }

    async fn children_since(
        &self,
        path: &str,
        _: ReadOf,
        mark: Option<TreeMark>,
    ) -> Result<Option<ReadChildren>, Error> {
        let nodes = match Self::place(path)? {
            place @ (Place::Urls { .. } | Place::Processes { .. }) => {
                let list = self.naming.list(service_of(&place)).await?;
                // The whole list came, but need not be read.
                return match mark.is_some() && list.mark() == mark {
                    true => Ok(None),
                    false => Ok(Some(self.nodes_of(&Arc::new(place), list).await?)),
                };
            }
            Place::Interfaces => {
                self.names(|name| interface_of(name).map(|name| encode_form(&name))).await?
            }
            Place::Applications => {
                let application = |name: &str| is_application(name).then(|| name.to_owned());
                self.names(application).await?
            }
            Place::Value(_) | Place::Values => Vec::new(),
        };
        Ok(Some(nodes.into()))
    }

    async fn watch_children(
        &self,
        path: &str,
        read: ReadOf,
        sink: &dyn NodeSink,
    ) -> Result<(), Error> {
        let place = Self::place(path)?;
        if !matches!(place, Place::Urls { .. } | Place::Processes { .. }) {
            sink.put_all(self.children(path, read).await?.into());
            return Err(Error::invalid_config(format!("Nacos tells no changes of `{path}`")));
        }
        let place = Arc::new(place);
        // Boxed, what is done now and then takes no room while nothing is to be done.
        let mut followed =
            Box::pin(FollowedService::begin(&self.naming, service_of(&place))).await?;
        loop {
            // It is pushed once more soon after it is followed, as it was.
            if let Some(list) = followed.take().filter(|list| !sink.confirm(list.mark())) {
                sink.put_all(Box::pin(self.nodes_of(&place, list)).await?);
            }
            let changed = async {
                sleep(LIST_GAP).await;
                followed.changed().await
            };
            tokio::select! {
                biased;
                () = self.connection.closed() => return Err(self.ended()),
                may_change = changed => if !may_change { return Err(self.ended()) },
            }
        }
    }

    async fn watch_value(&self, path: &str, sink: &dyn ValueSink) -> Result<(), Error> {
        let setting = Self::setting(path)?;
        // Boxed as above.
        let mut followed = Box::pin(self.settings.follow(&setting)).await?;
        let mut known = None;
        loop {
            followed.hints.mark_unchanged();
            let value = Box::pin(self.settings.value(&setting)).await?;
            let value = value.map(|value| value.text.into());
            if known.as_ref() != Some(&value) {
                known = Some(value.clone());
                sink.put_value(value);
            }
            tokio::select! {
                biased;
                () = self.connection.closed() => return Err(self.ended()),
                changed = followed.hints.changed() => if changed.is_err() { return Err(self.ended()) },
            }
        }
    }

    async fn closed(&self) {
        self.connection.closed().await;
    }

    fn reason(&self) -> Option<Error> {
        self.connection.reason()
    }

    fn complete_from(&self) -> Option<Instant> {
        Some(self.opened + ALL_BACK)
    }
}

impl NacosTree {
    /// The value of the entry `name` of `place`, which is at the path `parent`. A server tells entries by the whole list
    /// alone, so it is read once for all who ask at the same time, and says of all of ours whether they are there: what
    /// comes of that for one of them need not be read for as long as it holds.
    async fn listed(&self, parent: &str, place: Place, name: &str) -> Result<Option<Bytes>, Error> {
        match self.naming.known(service_of(&place), name).await {
            KnownHost::Listed(host) => {
                let known = nodes(&place, NacosService { hosts: vec![host] });
                return Ok(known.into_iter().next().map(|node| node.value));
            }
            KnownHost::OffList => return Ok(None),
            KnownHost::Unknown => {}
        }
        let (naming, place) = (Arc::clone(&self.naming), Arc::new(place));
        let read = async move {
            let service = service_of(&place);
            let (hosts, version) = naming.ours(service)?;
            let ours = nodes(&place, NacosService { hosts });
            let Some(list) = naming.look_at(service).await else {
                // The connection that ours are on lives, or its end is about to be noticed. Who else is there is
                // not known, and shows with the next look.
                return Ok(Arc::new(by_name(ours)));
            };
            let values = read_list(&naming, &place, list, by_name).await?;
            // Of another start at an address of ours the younger one counts, and that is to be seen each time.
            let is_off = |node: &&TreeNode| values.get(&node.name) != Some(&node.value);
            let off_list = ours.iter().filter(is_off).count();
            naming.note(service, values.len(), (off_list, version)).await;
            Ok(Arc::new(values))
        };
        let values = self.lists.join(parent, read).await?;
        Ok(values.get(&NodeName::from(name)).cloned())
    }

    /// The children of `place` by a list of its service.
    async fn nodes_of(&self, place: &Arc<Place>, list: UnreadList) -> Result<ReadChildren, Error> {
        let mark = list.mark();
        let nodes = read_list(&self.naming, place, list, identity).await?;
        Ok(ReadChildren { nodes, mark })
    }

    /// The names of services that `child` makes children of.
    async fn names(
        &self,
        child: impl Fn(&str) -> Option<String> + Send,
    ) -> Result<Vec<TreeNode>, Error> {
        let names = self.naming.names().await?;
        let names = names.iter().filter_map(|name| child(name));
        let node = |name: String| TreeNode { name: name.into(), value: Bytes::new() };
        Ok(names.map(node).collect())
    }

    fn ended(&self) -> Error {
        self.connection.reason().unwrap_or_else(|| Error::closed("the session ended"))
    }
}

/// Whether the path holds a digest of the value, so that all who write it write the same.
fn names_its_value(path: &str) -> bool {
    path.starts_with("/dubbo/metadata/")
}

fn service_of(place: &Place) -> &str {
    match place {
        Place::Urls { service } | Place::Processes { application: service } => service,
        Place::Value(_) | Place::Values | Place::Interfaces | Place::Applications => "",
    }
}

fn host_of_url(url: DubboUrl) -> NacosHost {
    let (ip, port) = (url.host.clone(), url.port.unwrap_or(0));
    NacosHost { ip, port, metadata: Some(to_nacos_metadata(url)), ..NacosHost::default() }
}

fn host_of_record(record: ServiceInstance) -> NacosHost {
    let ServiceInstance { host: ip, port, metadata, .. } = record;
    NacosHost { ip, port, metadata: Some(metadata), ..NacosHost::default() }
}

/// What `make` makes of the children of `place`, by a list of its service.
async fn read_list<T: Send + 'static>(
    naming: &Naming,
    place: &Arc<Place>,
    list: UnreadList,
    make: fn(Vec<TreeNode>) -> T,
) -> Result<T, Error> {
    let read = read_nodes(place, list, make).await?;
    read.map_err(|why| naming.unread(service_of(place), &NacosRefusal::silent(why)))
}

/// Reads a list, which may be long, and makes of it what is wanted; the inner error is that it is of another form.
async fn read_nodes<T: Send + 'static>(
    place: &Arc<Place>,
    list: UnreadList,
    make: fn(Vec<TreeNode>) -> T,
) -> Result<Result<T, String>, Error> {
    let (items, place) = (list.len(), Arc::clone(place));
    let read = move || list.read().map(|listed| make(nodes(&place, listed)));
    off_thread_if_long(items, read).await
}

fn by_name(nodes: Vec<TreeNode>) -> ValuesByName {
    nodes.into_iter().map(|node| (node.name, node.value)).collect()
}

/// A service's list as the children of its path. What is switched off is not one of them, and what is
/// ill is no application; at the interface level Java does not ask.
fn nodes(place: &Place, listed: NacosService) -> Vec<TreeNode> {
    let hosts = listed.hosts.into_iter().filter(|host| host.enabled);
    match place {
        Place::Processes { application } => {
            // Two processes may claim an address while the older has not gone: a path has one node.
            let mut records: BTreeMap<String, ServiceInstance> = BTreeMap::new();
            for NacosHost { ip, port, metadata, .. } in hosts.filter(|host| host.healthy) {
                let metadata = metadata.unwrap_or_default();
                let record = ServiceInstance::from_nacos(application, &ip, port, metadata);
                match records.entry(record.id()) {
                    Entry::Vacant(free) => drop(free.insert(record)),
                    Entry::Occupied(mut kept) if kept.get().started_ms() < record.started_ms() => {
                        drop(kept.insert(record));
                    }
                    Entry::Occupied(_) => {}
                }
            }
            let node = |(name, record): (String, ServiceInstance)| TreeNode {
                name: name.into(),
                value: record.to_curator_json().into(),
            };
            records.into_iter().map(node).collect()
        }
        _ => {
            let url = |host: NacosHost| {
                from_nacos_metadata(&host.ip, host.port, host.metadata.unwrap_or_default())
            };
            let node =
                |url: DubboUrl| TreeNode { name: url.to_node_name().into(), value: Bytes::new() };
            hosts.map(url).map(node).collect()
        }
    }
}

impl fmt::Debug for NacosTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NacosTree").field("connection", &self.connection).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::thread;

    use tokio::task::yield_now;

    use super::*;

    /// Turns that other tasks get at least. If the list were read on this thread, there would be one or none.
    const TURNS: usize = 50;

    #[tokio::test]
    async fn reading_a_long_list_leaves_the_thread_to_others() {
        let host = r#"{"ip":"10.0.0.1","port":1,"metadata":{"interface":"shop.Stock","a":"b"}}"#;
        let hosts = [host; 5000].join(",");
        let json = format!(r#"{{"serviceInfo":{{"name":"G@@a","hosts":[{hosts}]}}}}"#);
        let (list, _) = UnreadList::pushed(json.into()).unwrap();
        let place = Arc::new(Place::Urls { service: "providers:a::".to_owned() });
        // As a path has one node of a name, and all of these are one: what is made of them is made there, too.
        let make =
            |nodes: Vec<TreeNode>| (thread::current().id(), nodes.len(), by_name(nodes).len());
        let mut reading = pin!(read_nodes(&place, list, make));
        let mut turns = 0;
        let (made_on, nodes, names) = loop {
            tokio::select! {
                biased;
                read = &mut reading => break read.unwrap().unwrap(),
                () = yield_now() => turns += 1,
            }
        };
        assert_eq!((nodes, names), (5000, 1));
        assert_ne!(made_on, thread::current().id());
        assert!(turns > TURNS, "{turns} turns");
    }

    #[test]
    fn a_host_that_cannot_be_one_costs_no_other() {
        let of = |host: &str| format!(r#"{{"ip":"10.0.0.1",{host}}}"#);
        let good = of(r#""port":1,"metadata":{"interface":"shop.Stock","protocol":"dubhe"}"#);
        let bad = [
            of(r#""port":70000"#),
            of(r#""port":-1"#),
            of(r#""port":1,"metadata":{"a":null}"#),
            of(r#""port":1,"metadata":{"a":["b"]}"#),
            of(r#""port":1,"weight":"heavy""#),
            "7".to_owned(),
            "null".to_owned(),
        ];
        let hosts = format!("{good},{},{good}", bad.join(","));
        let json = format!(r#"{{"hosts":[{hosts}]}}"#);
        let read = || serde_json::from_str::<NacosService>(&json).unwrap();
        let is_read = |node: &TreeNode| {
            DubboUrl::from_node_name(&node.name).is_ok_and(|url| url.port == Some(1))
        };
        let urls = nodes(&Place::Urls { service: "providers:shop.Stock::".to_owned() }, read());
        assert_eq!(urls.iter().filter(|node| is_read(node)).count(), 2, "{urls:?}");
        // What cannot be a host is told: it is a node that stands for nobody.
        assert_eq!(urls.len(), 2 + bad.len());
        let application = Place::Processes { application: "shop".to_owned() };
        let records = nodes(&application, read());
        let record = |node: &TreeNode| ServiceInstance::from_json(&node.value);
        assert_eq!(records.iter().filter(|node| record(node).is_ok()).count(), 1);
        assert!(records.iter().any(|node| record(node).is_err()), "{records:?}");
    }

    fn host(port: u16, started: &str) -> NacosHost {
        let metadata = [("timestamp", started), ("dubbo.metadata.revision", "r")];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let (ip, metadata) = ("10.0.0.1".to_owned(), Some(metadata.into()));
        NacosHost { ip, port, metadata, ..NacosHost::default() }
    }

    fn listed(hosts: impl Into<Vec<NacosHost>>) -> NacosService {
        NacosService { hosts: hosts.into() }
    }

    #[test]
    fn the_youngest_start_at_an_address_is_the_record_whatever_their_order() {
        let place = Place::Processes { application: "shop".to_owned() };
        let (old, young) = (host(1, "1700000001000"), host(1, "1700000002000"));
        for hosts in [[old.clone(), young.clone()], [young, old]] {
            let nodes = nodes(&place, listed(hosts));
            assert_eq!(nodes.len(), 1);
            let record = ServiceInstance::from_json(&nodes[0].value).unwrap().unwrap();
            assert_eq!((&*nodes[0].name, record.started_ms()), ("10.0.0.1:1", 1_700_000_002_000));
        }
    }

    #[test]
    fn who_is_switched_off_is_listed_nowhere_and_who_is_ill_is_no_process() {
        let off = NacosHost { enabled: false, ..host(1, "1700000001000") };
        let ill = NacosHost { healthy: false, ..host(2, "1700000001000") };
        let service = || listed([off.clone(), ill.clone(), host(3, "1700000001000")]);
        let processes = nodes(&Place::Processes { application: "shop".to_owned() }, service());
        assert_eq!(processes.iter().map(|node| &*node.name).collect::<Vec<_>>(), ["10.0.0.1:3"]);
        let urls = nodes(&Place::Urls { service: "providers:a.B::".to_owned() }, service());
        assert_eq!(urls.len(), 2);
    }
}
