//! How requests leave: many at once, those of nobody, and those that another writer overtakes. Time is paused.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::peers::{answer, heard, session, xid_of};

const LONG: Duration = Duration::from_secs(40);

/// Which operation a request is.
fn op_of(frame: &[u8]) -> i32 {
    i32::from_be_bytes(*frame[4..].first_chunk().unwrap())
}

#[tokio::test(start_paused = true)]
async fn all_watches_of_a_long_list_are_removed_at_the_server() {
    let (client, mut server, _) = session(LONG);
    let path: Arc<str> = "/a".into();
    let names: Vec<String> = (0..5000).map(|i| format!("{i:04}")).collect();
    let watching = client.watching(&path);
    watching.enter_children(names.iter().map(String::as_str));
    drop(watching);
    for name in &names {
        let frame = heard(&mut server).await;
        assert_eq!(op_of(&frame), 18, "{name} is still watched");
        assert_eq!(&frame[12..], [b"/a/", name.as_bytes(), &[0, 0, 0, 2]].concat());
        server.write_all(&answer(xid_of(&frame), 0, &[])).await.unwrap();
    }
}
