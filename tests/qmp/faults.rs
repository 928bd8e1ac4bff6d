//! Faults that a negotiated session survives, and those that end it, against a fake QEMU.

use bootgate::qmp::{Direction, ProtocolNote, Qmp, QmpError, QmpEvent, QmpLoss, QmpNotice};
use qapi::qmp::{RunState, query_status};
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

use crate::fake::{Ends, FakeQemu, GREETING, SECOND, ready};

fn ask(qmp: &Qmp, command: &'static str) -> JoinHandle<Result<Value, QmpError>> {
    let qmp = qmp.clone();
    tokio::spawn(async move { qmp.execute_raw(command, Value::Null, SECOND).await })
}

async fn event(notices: &mut Receiver<QmpNotice>) -> QmpEvent {
    match notices.recv().await {
        Some(QmpNotice::Event(event)) => event,
        other => panic!("{other:?} is not an event"),
    }
}

async fn note(notices: &mut Receiver<QmpNotice>) -> ProtocolNote {
    match notices.recv().await {
        Some(QmpNotice::Note(note)) => note,
        other => panic!("{other:?} is not a note"),
    }
}

/// The session answers a command and reports an event, and nothing else is waiting.
async fn assert_alive(fake: &mut FakeQemu, qmp: &Qmp, notices: &mut Receiver<QmpNotice>) {
    let status = {
        let qmp = qmp.clone();
        tokio::spawn(async move { qmp.execute(query_status {}, SECOND).await })
    };
    let command = fake.hear().await;
    assert_eq!(command["execute"], "query-status");
    fake.event("STOP").await;
    fake.reply(&command, json!({"running": false, "status": "paused"}))
        .await;
    assert_eq!(status.await.unwrap().unwrap().status, RunState::paused);
    assert_eq!(event(notices).await.name, "STOP");
    assert!(notices.try_recv().is_err());
}

/// A session in which QEMU says something odd, which gives one note, and goes on.
async fn survives(line: &str) -> ProtocolNote {
    let Ends {
        mut fake,
        qmp,
        mut notices,
        ..
    } = ready().await;
    fake.say(line).await;
    let note = note(&mut notices).await;
    assert_alive(&mut fake, &qmp, &mut notices).await;
    note
}

#[tokio::test(start_paused = true)]
async fn an_unknown_event_is_kept_as_it_came() {
    let Ends {
        mut fake,
        qmp,
        mut notices,
        ..
    } = ready().await;
    fake.say(r#"{"event": "FROM_THE_FUTURE", "data": {"x": [1]}, "timestamp": {"seconds": -1, "microseconds": -1}}"#)
        .await;
    let event = event(&mut notices).await;
    assert_eq!((event.name.as_str(), event.timestamp_us), ("FROM_THE_FUTURE", None));
    assert_eq!(event.data()["x"], json!([1]));
    assert!(event.typed.is_err());
    assert_alive(&mut fake, &qmp, &mut notices).await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_value_in_a_known_event_is_kept_as_it_came() {
    let Ends {
        mut fake,
        qmp,
        mut notices,
        ..
    } = ready().await;
    fake.say(
        r#"{"event": "MIGRATION", "data": {"status": "failing"}, "timestamp": {"seconds": 1, "microseconds": 1}}"#,
    )
    .await;
    let event = event(&mut notices).await;
    assert!(event.typed.as_ref().unwrap_err().contains("failing"));
    assert_eq!(event.data()["status"], "failing");
    assert_alive(&mut fake, &qmp, &mut notices).await;
}

#[tokio::test(start_paused = true)]
async fn a_line_of_garbage_is_a_note() {
    let note = survives("\u{1b}[31mthis is not JSON").await.to_string();
    assert!(note.contains(r"\x1b[31mthis is not JSON"), "{note}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_line_is_a_note() {
    assert_eq!(survives("").await.to_string(), "QEMU sent an empty line");
}

#[tokio::test(start_paused = true)]
async fn a_message_of_an_unknown_kind_is_a_note() {
    assert!(
        survives(r#"{"surprise": 1}"#)
            .await
            .to_string()
            .contains("neither greeting, event nor reply")
    );
}

#[tokio::test(start_paused = true)]
async fn a_reply_to_nothing_is_a_note() {
    assert_eq!(
        survives(r#"{"return": {}, "id": 4711}"#).await,
        ProtocolNote::UnknownId { id: "4711".into() }
    );
    assert_eq!(
        survives(r#"{"return": {}, "id": "x"}"#).await,
        ProtocolNote::UnknownId { id: "\"x\"".into() }
    );
    assert_eq!(survives(r#"{"return": {}}"#).await, ProtocolNote::ResultWithoutId);
    assert_eq!(
        survives(r#"{"return": null, "id": 1}"#).await,
        ProtocolNote::UnknownId { id: "1".into() }
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_without_an_id_is_a_note() {
    let note = survives(r#"{"error": {"class": "Later", "desc": "JSON parse error"}}"#).await;
    assert_eq!(
        note,
        ProtocolNote::ErrorWithoutId {
            class: "Later".into(),
            desc: "JSON parse error".into()
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_greeting_is_a_note() {
    assert_eq!(survives(GREETING).await, ProtocolNote::SecondGreeting);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_a_new_class_is_told_to_its_caller() {
    let Ends {
        mut fake,
        qmp,
        mut notices,
        ..
    } = ready().await;
    let asked = ask(&qmp, "cont");
    let command = fake.hear().await;
    fake.say(&json!({"error": {"class": "Later", "desc": "no\u{1b}"}, "id": command["id"]}).to_string())
        .await;
    assert_eq!(
        asked.await.unwrap().unwrap_err().to_string(),
        "QEMU refused `cont`: no\u{fffd} (Later)"
    );
    assert_alive(&mut fake, &qmp, &mut notices).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_of_an_unknown_form_is_told_with_its_beginning() {
    let Ends {
        mut fake,
        qmp,
        mut notices,
        ..
    } = ready().await;
    let asked = {
        let qmp = qmp.clone();
        tokio::spawn(async move { qmp.execute(query_status {}, SECOND).await })
    };
    let command = fake.hear().await;
    fake.reply(&command, json!({"running": true, "status": "levitating"}))
        .await;
    let error = asked.await.unwrap().unwrap_err();
    assert!(
        matches!(&error, QmpError::Decode { raw, .. } if raw.contains("levitating")),
        "{error}"
    );
    assert_alive(&mut fake, &qmp, &mut notices).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_after_the_deadline_is_a_note() {
    let Ends {
        mut fake,
        qmp,
        mut notices,
        ..
    } = ready().await;
    let asked = ask(&qmp, "query-block");
    let command = fake.hear().await;
    let error = asked.await.unwrap().unwrap_err();
    assert_eq!(
        error,
        QmpError::Deadline {
            command: "query-block".into(),
            after: SECOND,
            negotiated: true
        }
    );
    fake.reply(&command, json!([])).await;
    let id = command["id"].as_u64().unwrap();
    assert_eq!(
        note(&mut notices).await,
        ProtocolNote::LateReply {
            id,
            command: "query-block".into()
        }
    );
    assert_alive(&mut fake, &qmp, &mut notices).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_does_not_harm_the_next_one() {
    let Ends {
        mut fake,
        qmp,
        mut notices,
        ..
    } = ready().await;
    let dropped = ask(&qmp, "query-block");
    let first = fake.hear().await;
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    let next = ask(&qmp, "query-status");
    let second = fake.hear().await;
    assert_ne!(first["id"], second["id"]);
    fake.reply(&first, json!("first")).await;
    fake.reply(&second, json!("second")).await;
    assert_eq!(next.await.unwrap(), Ok(json!("second")));
    assert!(matches!(note(&mut notices).await, ProtocolNote::LateReply { .. }));
    assert_alive(&mut fake, &qmp, &mut notices).await;
}

#[tokio::test(start_paused = true)]
async fn replies_in_any_order_reach_their_callers() {
    let Ends { mut fake, qmp, .. } = ready().await;
    let (a, b) = (ask(&qmp, "query-block"), ask(&qmp, "query-cpus-fast"));
    let (first, second) = (fake.hear().await, fake.hear().await);
    fake.reply(&second, second["execute"].clone()).await;
    fake.reply(&first, first["execute"].clone()).await;
    assert_eq!(a.await.unwrap(), Ok(json!("query-block")));
    assert_eq!(b.await.unwrap(), Ok(json!("query-cpus-fast")));
}

#[tokio::test(start_paused = true)]
async fn death_in_the_middle_of_commands_fails_each_of_them_once() {
    let Ends {
        mut fake,
        qmp,
        mut notices,
        transcript,
    } = ready().await;
    let asked: Vec<_> = (0..20).map(|_| ask(&qmp, "query-block")).collect();
    fake.hear().await;
    fake.event("SHUTDOWN").await;
    fake.say_bytes(br#"{"return": [{"dev"#).await;
    drop(fake);
    let loss = QmpLoss::Closed { unfinished_bytes: 17 };
    for call in asked {
        assert_eq!(call.await.unwrap(), Err(QmpError::Lost(loss.clone())));
    }
    assert_eq!(event(&mut notices).await.name, "SHUTDOWN");
    assert!(matches!(notices.recv().await, Some(QmpNotice::Lost(told)) if told == loss));
    assert!(notices.recv().await.is_none());
    assert_eq!(qmp.ping(SECOND).await, Err(QmpError::Lost(loss)));
    let last = transcript.lines().pop().unwrap();
    assert_eq!(last, (Direction::Received, br#"{"return": [{"dev"#.to_vec()));
}

#[tokio::test(start_paused = true)]
async fn a_line_of_256_mib_ends_the_session_at_the_limit() {
    let Ends {
        mut fake,
        qmp,
        mut notices,
        ..
    } = ready().await;
    let asked = ask(&qmp, "query-block");
    let chunk = vec![b'x'; 64 * 1024];
    let mut taken_bytes = 0;
    while taken_bytes < 256 * 1024 * 1024 && fake.say_bytes(&chunk).await {
        taken_bytes += chunk.len();
    }
    // The limit, one read, and what lies in the pipe.
    assert!(taken_bytes <= (10 * 1024 + 64 + 64) * 1024, "{taken_bytes}");
    let loss = QmpLoss::LineTooLong {
        limit_bytes: 10 * 1024 * 1024,
    };
    assert_eq!(asked.await.unwrap(), Err(QmpError::Lost(loss.clone())));
    assert!(matches!(notices.recv().await, Some(QmpNotice::Lost(told)) if told == loss));
    assert!(notices.recv().await.is_none());
}
