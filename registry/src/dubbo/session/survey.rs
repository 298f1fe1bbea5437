//! What stands in a registry's tree, for people who look for what is wrong with it.

use rpc_core::Error;

use super::super::merged::{Merged, Note, merge};
use super::applications::Processes;
use super::providers::Providers;
use super::read::ListReader;
use super::services::{ReadFolders, every, every_record};
use crate::check::Diagnosis;
use crate::sound::UnsoundInstances;

/// Reasons for not calling processes that are shown.
const NOTES: usize = 10;

/// One of the two levels.
struct Level {
    of: &'static str,
    /// Of its folders, and of what is in them.
    names: (&'static str, &'static str),
    /// Whether this process would register there.
    is_ours: bool,
}

/// What one folder of a level has.
struct LevelPart {
    count: usize,
    left_out: UnsoundInstances,
    notes: Vec<Note>,
}

impl ListReader {
    /// How much there is at each level, what cannot be read, and who is not called.
    pub(super) async fn survey(&self) -> Result<Vec<Diagnosis>, Error> {
        let of_interface = |read: &Providers| {
            LevelPart::new(read.iter().count(), &read.left_out, merge(&every(), read.iter(), []))
        };
        let of_application = |_, read: &Processes| {
            let merged = merge(&every(), [], &every_record(read));
            LevelPart::new(read.iter().count(), &read.left_out, merged)
        };
        let levels = (self.each_interface(of_interface), self.each_application(of_application));
        let (interfaces, applications) = self.both_levels(levels.0, levels.1).await?;
        let (mode, names) = (self.layout.mode, ("interfaces", "provider URLs"));
        let of_urls = Level { of: "interface level", names, is_ours: mode.writes_interfaces() };
        let names = ("applications", "processes");
        let of_records = Level { of: "application level", names, is_ours: mode.writes_instances() };
        let levels = [(&of_urls, &interfaces), (&of_records, &applications)];
        let parts = || interfaces.read.iter().chain(&applications.read);
        let is_closed = levels.iter().any(|(_, folders)| folders.closed.is_some());
        let mut found = match is_closed || parts().any(|part| part.count > 0) {
            true => levels.map(|(level, folders)| level.layout(folders)).to_vec(),
            false => vec![self.empty()],
        };
        found.extend(levels.iter().filter_map(|(level, folders)| level.unread(&folders.unread)));
        let open = levels.iter().filter(|(_, folders)| folders.closed.is_none());
        found.extend(open.map(|(level, folders)| level.entries(&folders.read)));
        let notes = parts().flat_map(|part| &part.notes).take(NOTES);
        found.extend(notes.map(|note| {
            let remedy = "have these providers speak a protocol of ours, or register what they \
                          serve in the registry";
            Diagnosis::warn("entries", &note.application, note.to_string(), remedy)
        }));
        Ok(found)
    }

    fn empty(&self) -> Diagnosis {
        let root = &self.layout.root;
        let seen = format!("nobody is registered under the root `{root}`");
        let remedy = "it is made with the first provider; if there are some, correct the group, \
                      chroot or namespace of the address to theirs";
        Diagnosis::warn("layout", &*self.layout.address, seen, remedy)
    }
}

impl LevelPart {
    fn new(count: usize, left_out: &UnsoundInstances, merged: Merged) -> Self {
        let mut left_out = left_out.clone();
        left_out.join(&merged.remarks.left_out);
        Self { count, left_out, notes: merged.remarks.notes }
    }
}

impl Level {
    fn layout(&self, folders: &ReadFolders<LevelPart>) -> Diagnosis {
        if let Some(error) = &folders.closed {
            let remedy = "let this user read it, or have nobody register there";
            return Diagnosis::warn(
                "layout",
                self.of,
                format!("it cannot be read: {error}"),
                remedy,
            );
        }
        let parts = &folders.read;
        let folders = parts.iter().filter(|part| part.count > 0).count();
        let entries: usize = parts.iter().map(|part| part.count).sum();
        let (of_folders, of_entries) = self.names;
        let ours = if self.is_ours { "written and read" } else { "read" };
        let seen =
            format!("{folders} {of_folders}, {entries} {of_entries}; {ours} by this address");
        Diagnosis::ok("layout", self.of, seen)
    }

    /// Folders that could not be read, if any.
    fn unread(&self, unread: &UnsoundInstances) -> Option<Diagnosis> {
        let UnsoundInstances { count, why } = unread;
        let seen = format!("{count} of the {} cannot be read, such as {why}", self.names.0);
        let remedy = "let this user read them, or remove what nobody writes any more";
        (*count > 0).then(|| Diagnosis::warn("layout", self.of, seen, remedy))
    }

    fn entries(&self, parts: &[LevelPart]) -> Diagnosis {
        let mut all = UnsoundInstances::default();
        parts.iter().for_each(|part| all.join(&part.left_out));
        Diagnosis::of_left_out(&all, self.of)
    }
}
