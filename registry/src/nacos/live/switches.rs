//! Entries that an operator switches off in the console of Nacos, or changes there.

use tokio::time::sleep;

use super::*;

/// The service of [`STOCK`].
const SERVICE: &str = "providers:shop.Stock___Inner:1:g";

/// Switches the provider and its record.
fn switch(nacos: &mut Running, namespace: &str, is_on: bool) {
    for service in [SERVICE, "shop"] {
        nacos.switch_entry((namespace, service), 1, is_on);
    }
}

/// The names of the providers as they are watched, until what comes with them is dropped.
async fn watched(server: &str) -> (Newest, JoinSet<()>) {
    let reader = tree(server, "switch").await;
    let ((found, newest), mut watching) = (watch::channel(None), JoinSet::new());
    watching.spawn(async move {
        let _ = reader.watch_children(STOCK, ReadOf::Names, &found).await;
    });
    (newest, watching)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_switches_off_stays_off_and_what_is_lost_comes_back() {
    for version in NacosVersion::ALL {
        let Some(mut nacos) = Running::start(version) else { return };
        let server = nacos.address();
        let namespace = format!("switch-{}", std::process::id());
        let always = Demand { reconcile: Duration::ZERO, ..Demand::default() };
        let (ours, theirs) =
            (tree_of(&server, "switch", &always).await, tree(&server, "switch").await);
        let (mut newest, mut watching) = watched(&server).await;
        let (path, record) = (at("10.0.0.1:1"), record(1, 1));
        let check = async || {
            ours.put_owned(&path, Bytes::new()).await.unwrap();
            ours.put_owned(&record.0, record.1.clone()).await.unwrap();
        };
        let is_record_listed = async || theirs.value(&record.0).await.unwrap().is_some();
        let becomes_listed = async |wanted| {
            timeout(LIMIT, async { while is_record_listed().await != wanted {} }).await.unwrap();
        };
        check().await;
        shows(&mut newest, &["10.0.0.1:1"]).await;
        switch(&mut nacos, &namespace, false);
        shows(&mut newest, &[]).await;
        becomes_listed(false).await;

        // A check may take it for lost, and none does so again.
        let mut others = Vec::new();
        for port in 1..=5 {
            check().await;
            others.push(format!("10.0.0.2:{port}"));
            theirs.put_owned(&at(&others[port - 1]), Bytes::new()).await.unwrap();
            let others: Vec<_> = others.iter().map(String::as_str).collect();
            shows(&mut newest, &others).await;
        }
        assert!(!is_record_listed().await, "{version:?} lists its record");
        assert_eq!(nacos.registrations(SERVICE) - others.len(), 2, "{version:?}");
        assert_eq!(nacos.registrations("shop"), 2, "{version:?}");

        switch(&mut nacos, &namespace, true);
        let all = ["10.0.0.1:1"].into_iter().chain(others.iter().map(String::as_str));
        shows(&mut newest, &all.collect::<Vec<_>>()).await;
        becomes_listed(true).await;
        // Longer than a list of so few goes unread.
        sleep(Duration::from_secs(1)).await;
        check().await;
        nacos.remove_entries();
        shows(&mut newest, &[]).await;
        becomes_listed(false).await;
        // A list that was read just now is not read again.
        let checking = async {
            loop {
                check().await;
                sleep(Duration::from_millis(100)).await;
            }
        };
        let is_back = async {
            shows(&mut newest, &["10.0.0.1:1"]).await;
            becomes_listed(true).await;
        };
        tokio::select! {
            () = checking => {}
            () = is_back => {}
        }
        watching.shutdown().await;
    }
}
