//! A QEMU that says what a test tells it to, on the other end of an in-memory stream.

use std::time::Duration;

use bootgate::qmp::{Qmp, QmpNotice, SharedTranscript, attach};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::mpsc::Receiver;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 3, "minor": 2, "major": 7}, "package": "fake"}, "capabilities": ["oob"]}}"#;
/// What fits between the two ends, in bytes.
pub(crate) const PIPE_BYTES: usize = 64 * 1024;

/// QEMU's end.
pub(crate) struct FakeQemu(BufReader<DuplexStream>);

/// Both ends of a session.
pub(crate) struct Ends {
    pub(crate) fake: FakeQemu,
    pub(crate) qmp: Qmp,
    pub(crate) notices: Receiver<QmpNotice>,
    pub(crate) transcript: SharedTranscript,
}

/// A session that nothing was said in yet.
pub(crate) fn silent() -> Ends {
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    let transcript = SharedTranscript::default();
    let (qmp, notices) = attach(ours, transcript.clone());
    Ends {
        fake: FakeQemu(BufReader::new(theirs)),
        qmp,
        notices,
        transcript,
    }
}

/// A session that is negotiated.
pub(crate) async fn ready() -> Ends {
    let mut ends = silent();
    ends.fake.say(GREETING).await;
    ends.fake.negotiate().await;
    assert!(matches!(
        ends.notices.recv().await,
        Some(QmpNotice::Ready { oob: true, .. })
    ));
    ends
}

impl FakeQemu {
    /// Says bytes as they are; false if nobody listens any more.
    pub(crate) async fn say_bytes(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Says one line.
    pub(crate) async fn say(&mut self, line: &str) {
        assert!(self.say_bytes(format!("{line}\r\n").as_bytes()).await, "nobody listens");
    }

    /// Says an event without data.
    pub(crate) async fn event(&mut self, name: &str) {
        let event = json!({"timestamp": {"seconds": 1, "microseconds": 2}, "event": name});
        self.say(&event.to_string()).await;
    }

    /// Waits for a command.
    pub(crate) async fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// True if the other end has closed.
    pub(crate) async fn hears_end(&mut self) -> bool {
        let mut line = String::new();
        self.0.read_line(&mut line).await.is_ok_and(|length| length == 0)
    }

    /// Gives a command its result.
    pub(crate) async fn reply(&mut self, command: &Value, result: Value) {
        self.say(&json!({"return": result, "id": command["id"]}).to_string())
            .await;
    }

    /// Takes `qmp_capabilities` and agrees.
    pub(crate) async fn negotiate(&mut self) {
        let command = self.hear().await;
        assert_eq!(command["execute"], "qmp_capabilities");
        self.reply(&command, json!({})).await;
    }
}
