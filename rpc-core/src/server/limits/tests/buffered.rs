//! Bytes that connections hold.

use super::super::{ConnectionShare, HeldBytes};
use super::{server, taken};

#[test]
fn a_connection_holds_half_of_the_bytes_and_gives_back_what_it_lets_go() {
    let state = server(8, 100);
    let share = ConnectionShare::new(state.clone());
    let mut held = HeldBytes::nothing(share.clone());
    held.grow(0).unwrap();
    held.grow(30).unwrap();
    held.grow(20).unwrap();
    assert_eq!((held.bytes(), taken(&state)), (50, (0, 0, 50)));
    let own = held.grow(1).unwrap_err();
    assert!(own.is_full() && own.message().contains("leave to others, 50 of 100 bytes"), "{own}");
    let all = held.grow(51).unwrap_err();
    assert!(all.message().contains("have no room for 51 more of 100 bytes"), "{all}");
    assert_eq!((held.bytes(), taken(&state)), (50, (0, 0, 50)));
    held.shrink_to(60);
    assert_eq!((held.bytes(), taken(&state)), (50, (0, 0, 50)), "that is no less");
    held.shrink_to(50);
    held.shrink_to(20);
    assert_eq!((held.bytes(), taken(&state)), (20, (0, 0, 20)));
    drop(held);
    assert_eq!(taken(&state), (0, 0, 0));
}

#[test]
fn bytes_that_are_parted_or_joined_stay_as_many() {
    let state = server(8, 100);
    let mut held = HeldBytes::nothing(ConnectionShare::new(state.clone()));
    held.grow(50).unwrap();
    let mut part = held.split(20);
    assert_eq!((held.bytes(), part.bytes(), taken(&state).2), (30, 20, 50));
    let mut rest = held.split(31);
    assert_eq!((held.bytes(), rest.bytes()), (0, 30), "no more than there are");
    drop(held);
    part.join(&mut rest);
    assert_eq!((part.bytes(), rest.bytes(), taken(&state).2), (50, 0, 50));
    drop(rest);
    assert_eq!(taken(&state).2, 50);
    drop(part);
    assert_eq!(taken(&state).2, 0);
}
