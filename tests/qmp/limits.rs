//! What is bounded: commands in flight and waiting, and notices that nobody takes.

use bootgate::qmp::link::NOTICES_MAX;
use bootgate::qmp::session::{IN_BAND_IN_FLIGHT_MAX, OUT_OF_BAND_IN_FLIGHT_MAX, QUEUE_MAX};
use bootgate::qmp::{ProtocolNote, QmpError, QmpNotice};
use serde_json::{Value, json};

use crate::fake::{Ends, SECOND, ready};

#[tokio::test(start_paused = true)]
async fn of_200_commands_at_once_a_few_are_in_flight_and_all_are_answered() {
    let Ends { mut fake, qmp, .. } = ready().await;
    let asked: Vec<_> = (0..200)
        .map(|n| {
            let qmp = qmp.clone();
            tokio::spawn(async move { (n, qmp.execute_raw("qom-get", json!({"n": n}), SECOND).await) })
        })
        .collect();
    let mut in_flight = Vec::new();
    for answered in 0..200 {
        while in_flight.len() < IN_BAND_IN_FLIGHT_MAX.min(200 - answered) {
            in_flight.push(fake.hear().await);
        }
        // No eighth command comes before one of the seven is answered.
        let early = tokio::time::timeout(SECOND / 1000, fake.hear()).await;
        assert!(early.is_err(), "{early:?}");
        let command = in_flight.swap_remove(answered % in_flight.len());
        fake.reply(&command, command["arguments"]["n"].clone()).await;
    }
    for call in asked {
        let (n, result) = call.await.unwrap();
        assert_eq!(result, Ok(json!(n)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_overtakes_commands_that_are_not_answered() {
    let Ends { mut fake, qmp, .. } = ready().await;
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let qmp = qmp.clone();
            tokio::spawn(async move { qmp.execute_raw("query-block", Value::Null, 9 * SECOND).await })
        })
        .collect();
    for _ in 0..IN_BAND_IN_FLIGHT_MAX {
        fake.hear().await;
    }
    let ping = {
        let qmp = qmp.clone();
        tokio::spawn(async move { qmp.ping(SECOND).await })
    };
    let command = fake.hear().await;
    assert_eq!(command["exec-oob"], "query-yank");
    fake.reply(&command, json!([])).await;
    assert!(ping.await.unwrap().is_ok());
    // Pings that are never answered do not pile up at QEMU, nor here.
    for n in 0..100 {
        assert!(
            matches!(qmp.ping(SECOND / 100).await, Err(QmpError::Deadline { .. })),
            "{n}"
        );
    }
    for _ in 0..OUT_OF_BAND_IN_FLIGHT_MAX {
        assert_eq!(fake.hear().await["exec-oob"], "query-yank");
    }
    assert!(tokio::time::timeout(SECOND, fake.hear()).await.is_err());
    drop(asked);
}

#[tokio::test(start_paused = true)]
async fn more_than_the_queue_holds_is_refused_at_once() {
    let Ends { fake: _fake, qmp, .. } = ready().await;
    let held = IN_BAND_IN_FLIGHT_MAX + QUEUE_MAX;
    let asked: Vec<_> = (0..held + 5)
        .map(|_| {
            let qmp = qmp.clone();
            tokio::spawn(async move { qmp.execute_raw("query-block", Value::Null, SECOND).await })
        })
        .collect();
    let mut busy = 0;
    for call in asked {
        match call.await.unwrap() {
            Err(QmpError::Busy { waiting: QUEUE_MAX, .. }) => busy += 1,
            Err(QmpError::Deadline { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(busy, 5);
    // Those that stopped waiting give their places back.
    let later = qmp.execute_raw("query-block", Value::Null, SECOND).await;
    assert!(matches!(later, Err(QmpError::Deadline { .. })), "{later:?}");
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_takes_no_notices_holds_up_no_reply_and_hears_how_many_it_missed() {
    let Ends {
        mut fake,
        qmp,
        mut notices,
        ..
    } = ready().await;
    let extra = 500;
    for _ in 0..NOTICES_MAX + extra {
        fake.event("RESUME").await;
    }
    let asked = {
        let qmp = qmp.clone();
        tokio::spawn(async move { qmp.execute_raw("cont", Value::Null, SECOND).await })
    };
    let command = fake.hear().await;
    fake.reply(&command, json!({})).await;
    assert_eq!(asked.await.unwrap(), Ok(json!({})));

    for _ in 0..NOTICES_MAX {
        assert!(matches!(notices.recv().await, Some(QmpNotice::Event(_))));
    }
    let note = notices.recv().await;
    let count = extra as u64;
    assert!(
        matches!(note, Some(QmpNotice::Note(ProtocolNote::NoticesDropped { count: told })) if told == count),
        "{note:?}"
    );
    fake.event("STOP").await;
    assert!(matches!(notices.recv().await, Some(QmpNotice::Event(event)) if event.name == "STOP"));
}

#[tokio::test(start_paused = true)]
async fn the_loss_is_told_even_to_a_driver_whose_queue_was_full() {
    let Ends {
        mut fake,
        qmp,
        mut notices,
        ..
    } = ready().await;
    for _ in 0..NOTICES_MAX + 2 {
        fake.event("RESUME").await;
    }
    drop(fake);
    assert!(matches!(qmp.ping(SECOND).await, Err(QmpError::Lost(_))));
    let mut last = Vec::new();
    while let Some(notice) = notices.recv().await {
        last.push(notice);
    }
    assert_eq!(last.len(), NOTICES_MAX + 2);
    assert!(matches!(
        last[NOTICES_MAX],
        QmpNotice::Note(ProtocolNote::NoticesDropped { count: 2 })
    ));
    assert!(matches!(last[NOTICES_MAX + 1], QmpNotice::Lost(_)));
}
