//! A cloud of a chosen speed.

use stackward::sandbox::{Pace, Spread};

use super::*;

fn fixed(seconds: u64) -> Spread {
    let time = Duration::from_secs(seconds);
    Spread {
        median: time,
        p99: time,
    }
}

#[test]
fn servers_and_volumes_take_the_time_that_was_chosen() {
    let mut cloud = Cloud::with(Options {
        boot: Some(fixed(60)),
        build: Some(fixed(30)),
        ..Options::default()
    });
    let (server, volume) = (cloud.server(), cloud.volume());
    // The volume was asked for two seconds ago.
    cloud.wait(27_000);
    assert_eq!(cloud.volume_status(&volume), "creating");
    cloud.wait(2_000);
    assert_eq!(cloud.volume_status(&volume), "available");
    cloud.wait(28_000);
    assert_eq!(cloud.status(&server), "BUILD");
    cloud.wait(5_000);
    assert_eq!(cloud.status(&server), "ACTIVE");
}

#[test]
fn an_answer_says_how_long_it_takes() {
    let mut pace = Pace {
        latency: Some(fixed(1)),
        ..Pace::default()
    };
    pace.latency_of.insert("volume".to_owned(), fixed(3));
    pace.per_second.insert("compute".to_owned(), 0.5);
    let mut cloud = Cloud::with(Options {
        pace,
        ..Options::default()
    });
    let mut seconds = |target| cloud.send(Request::get(target)).delay.as_secs();
    assert_eq!(seconds("/network/v2.0/ports"), 1);
    assert_eq!(seconds("/volume/v3/volumes"), 3);
    assert_eq!(seconds("/compute/v2.1/servers"), 1);
    assert_eq!(seconds("/compute/v2.1/servers"), 1 + 2);
}
