//! How a session begins, and how it ends when nobody wants it any more.

use bootgate::qmp::{Band, ProtocolNote, QmpError, QmpLoss, QmpNotice, Request};
use serde_json::{Value, json};

use crate::fake::{Ends, GREETING, SECOND, ready, silent};

#[tokio::test(start_paused = true)]
async fn what_is_asked_before_the_greeting_waits_for_it() {
    let Ends {
        mut fake,
        qmp,
        mut notices,
        ..
    } = silent();
    let asked = tokio::spawn(async move { qmp.execute_raw("query-status", Value::Null, SECOND).await });
    tokio::task::yield_now().await;
    fake.say(GREETING).await;
    let capabilities = fake.hear().await;
    assert_eq!(capabilities["execute"], "qmp_capabilities");
    assert_eq!(capabilities["arguments"], json!({"enable": ["oob"]}));
    fake.reply(&capabilities, json!({})).await;
    let command = fake.hear().await;
    assert_eq!(command["execute"], "query-status");
    assert!(command.get("arguments").is_none());
    fake.reply(&command, json!(1)).await;
    assert_eq!(asked.await.unwrap(), Ok(json!(1)));
    match notices.recv().await {
        Some(QmpNotice::Ready { version, oob: true }) => assert_eq!(version.to_string(), "7.2.3"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_greeting_nothing_is_sent_and_the_error_says_so() {
    let Ends { mut fake, qmp, .. } = silent();
    let error = qmp.execute_raw("query-status", Value::Null, SECOND).await.unwrap_err();
    assert_eq!(
        error,
        QmpError::Deadline {
            command: "query-status".into(),
            after: SECOND,
            negotiated: false
        }
    );
    assert!(error.to_string().contains("has not greeted us"), "{error}");
    // The caller is gone, so its command is not sent late either.
    fake.say(GREETING).await;
    fake.negotiate().await;
    let ping = tokio::spawn(async move { qmp.ping(SECOND).await });
    let command = fake.hear().await;
    assert_eq!(command["exec-oob"], "query-yank");
    fake.reply(&command, json!([])).await;
    assert!(ping.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_event_before_the_greeting_is_reported_with_a_note() {
    let Ends {
        mut fake, mut notices, ..
    } = silent();
    fake.event("RESUME").await;
    let note = notices.recv().await;
    assert!(
        matches!(note, Some(QmpNotice::Note(ProtocolNote::EarlyEvent { ref name })) if name == "RESUME"),
        "{note:?}"
    );
    assert!(matches!(notices.recv().await, Some(QmpNotice::Event(event)) if event.name == "RESUME"));
    fake.say(GREETING).await;
    fake.negotiate().await;
    assert!(matches!(notices.recv().await, Some(QmpNotice::Ready { .. })));
}

#[tokio::test(start_paused = true)]
async fn death_before_the_greeting_is_told_to_who_waits() {
    let Ends {
        fake, qmp, mut notices, ..
    } = silent();
    let asked = tokio::spawn(async move { qmp.ping(SECOND).await });
    tokio::task::yield_now().await;
    drop(fake);
    let loss = QmpLoss::Closed { unfinished_bytes: 0 };
    assert_eq!(asked.await.unwrap(), Err(QmpError::Lost(loss)));
    assert!(matches!(notices.recv().await, Some(QmpNotice::Lost(_))));
}

#[tokio::test(start_paused = true)]
async fn a_greeting_that_can_not_be_read_ends_the_session() {
    let Ends {
        mut fake, mut notices, ..
    } = silent();
    fake.say(r#"{"QMP": {"version": "seven"}}"#).await;
    let lost = notices.recv().await;
    assert!(
        matches!(lost, Some(QmpNotice::Lost(QmpLoss::BadGreeting { .. }))),
        "{lost:?}"
    );
    assert!(fake.hears_end().await);
}

#[tokio::test(start_paused = true)]
async fn a_refused_negotiation_ends_the_session() {
    let Ends {
        mut fake,
        qmp,
        mut notices,
        ..
    } = silent();
    fake.say(GREETING).await;
    let command = fake.hear().await;
    fake.say(&json!({"error": {"class": "GenericError", "desc": "no"}, "id": command["id"]}).to_string())
        .await;
    let loss = QmpLoss::NotNegotiated {
        class: "GenericError".into(),
        desc: "no".into(),
    };
    assert!(matches!(notices.recv().await, Some(QmpNotice::Lost(told)) if told == loss));
    assert_eq!(qmp.ping(SECOND).await, Err(QmpError::Lost(loss)));
}

#[tokio::test(start_paused = true)]
async fn without_out_of_band_a_ping_goes_in_band() {
    let Ends {
        mut fake,
        qmp,
        mut notices,
        ..
    } = silent();
    fake.say(&GREETING.replace("\"oob\"", "\"other\"")).await;
    let capabilities = fake.hear().await;
    assert!(capabilities.get("arguments").is_none());
    fake.reply(&capabilities, json!({})).await;
    assert!(matches!(
        notices.recv().await,
        Some(QmpNotice::Ready { oob: false, .. })
    ));
    let refused = qmp.execute_oob_raw("query-yank", Value::Null, SECOND).await;
    assert_eq!(
        refused,
        Err(QmpError::NoOutOfBand {
            command: "query-yank".into()
        })
    );
    let ping = tokio::spawn(async move { qmp.ping(SECOND).await });
    let command = fake.hear().await;
    assert_eq!(command["execute"], "query-yank");
    let unknown = json!({"error": {"class": "CommandNotFound", "desc": "?"}, "id": command["id"]});
    fake.say(&unknown.to_string()).await;
    assert!(ping.await.unwrap().is_ok(), "any answer shows that QEMU lives");
}

#[tokio::test(start_paused = true)]
async fn the_connection_is_closed_when_nobody_is_left() {
    let Ends {
        mut fake, qmp, notices, ..
    } = ready().await;
    let other = qmp.clone();
    drop(qmp);
    drop(notices);
    let call = tokio::spawn(async move {
        other
            .send(Request::new("cont", json!({})).in_band(Band::InBand), SECOND)
            .await
    });
    let command = fake.hear().await;
    fake.event("RESUME").await;
    fake.reply(&command, json!({})).await;
    assert_eq!(call.await.unwrap(), Ok(json!({})));
    assert!(fake.hears_end().await);

    let Ends {
        mut fake,
        qmp,
        mut notices,
        ..
    } = ready().await;
    drop(qmp);
    fake.event("STOP").await;
    assert!(matches!(notices.recv().await, Some(QmpNotice::Event(_))));
    drop(notices);
    assert!(fake.hears_end().await);
}
