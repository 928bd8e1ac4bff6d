//! Secret arguments reach QEMU and nothing else.

use bootgate::qmp::{QmpNotice, Request};
use serde_json::{Value, json};

use crate::fake::{Ends, SECOND, ready};

const CANARY: &str = "hunter2-canary";

type Answer = Box<dyn FnOnce(&Value) -> Vec<u8>>;

/// Gives a secret command; `answer` makes what QEMU says from the command that it heard. Returns all that can be shown.
async fn shown(answer: impl FnOnce(&Value) -> Vec<u8>) -> String {
    let Ends {
        mut fake,
        qmp,
        mut notices,
        transcript,
    } = ready().await;
    let request = Request::new("object-add", json!({"id": "pass", "data": CANARY})).secret();
    let mut shown = vec![format!("{request:?}")];
    let call = tokio::spawn(async move {
        qmp.send(request, SECOND)
            .await
            .map(|_| "the result is for the caller only")
    });
    let command = fake.hear().await;
    assert_eq!(command["arguments"]["data"], CANARY);
    fake.say_bytes(&answer(&command)).await;
    let result = call.await.unwrap();
    shown.push(format!("{result:?}"));
    if let Err(error) = result {
        shown.push(error.to_string());
    }
    drop(fake);
    while let Some(notice) = notices.recv().await {
        shown.push(format!("{notice:?}"));
        if let QmpNotice::Note(note) = notice {
            shown.push(note.to_string());
        }
    }
    for (_, line) in transcript.lines() {
        shown.push(String::from_utf8(line).unwrap());
    }
    let shown = shown.concat();
    assert!(
        shown.contains(r#"{"execute":"object-add","id":2,"arguments":"***"}"#),
        "{shown}"
    );
    shown
}

fn line(message: &Value) -> Vec<u8> {
    format!("{message}\n").into_bytes()
}

#[tokio::test(start_paused = true)]
async fn whatever_qemu_answers_the_secret_is_not_shown() {
    let answers: [Answer; 7] = [
        Box::new(|command| line(&json!({"return": CANARY, "id": command["id"]}))),
        Box::new(|command| {
            line(
                &json!({"error": {"class": "GenericError", "desc": format!("'{CANARY}' is bad")}, "id": command["id"]}),
            )
        }),
        Box::new(|_| line(&json!({"error": {"class": "GenericError", "desc": CANARY}}))),
        Box::new(|_| line(&json!({"return": CANARY}))),
        Box::new(|_| line(&json!({"return": CANARY, "id": 99}))),
        Box::new(|_| format!("{{\"echo\": \"{CANARY}\"}}\n{CANARY}\n").into_bytes()),
        Box::new(|_| format!("{{\"return\": \"{CANARY}").into_bytes()),
    ];
    for (n, answer) in answers.into_iter().enumerate() {
        let shown = shown(answer).await;
        assert!(!shown.contains("hunter2"), "answer {n}: {shown}");
    }
}
