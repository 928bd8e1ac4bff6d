//! Those who listen to events beside the driver.

use bootgate::qmp::EventGap;

use crate::fake::ready;

#[tokio::test]
async fn a_listener_and_the_driver_hear_the_same() {
    let mut ends = ready().await;
    let mut events = ends.qmp.subscribe();
    ends.fake.event("STOP").await;
    assert_eq!(events.next().await.unwrap().name, "STOP");
    assert!(ends.notices.recv().await.is_some());
}

#[tokio::test]
async fn a_slow_listener_learns_that_it_missed_some_and_the_end() {
    let mut ends = ready().await;
    let mut events = ends.qmp.subscribe();
    for _ in 0..300 {
        ends.fake.event("STOP").await;
        ends.notices.recv().await;
    }
    let gap = events.next().await.unwrap_err();
    assert!(matches!(gap, EventGap::Missed { count: 44 }), "{gap:?}");
    let qmp = ends.qmp.clone();
    drop(ends.fake);
    let lost = loop {
        if let Err(gap) = events.next().await {
            break gap;
        }
    };
    assert!(matches!(lost, EventGap::Lost(_)), "{lost:?}");
    let late = qmp.subscribe().next().await;
    assert!(matches!(late, Err(EventGap::Lost(_))), "{late:?}");
}
