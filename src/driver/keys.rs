//! Pressing keys on the machine's keyboard.

use std::time::Duration;

use crate::control::Refusal;
use crate::qemu::keymap::{self, Stroke};
use crate::qmp::{Qmp, QmpError, Request, RunState};

/// How long QEMU may take to take one key.
const KEY_WITHIN: Duration = Duration::from_secs(5);

/// Types text in the keymap's notation; gives the number of keystrokes. Nothing is typed if a part of it has no key, or if
/// the guest is not there to be typed at.
pub(super) async fn press(qmp: &Qmp, text: &str) -> Result<usize, Refusal> {
    let refused = |problem: String, help: &str| Refusal {
        problem,
        help: help.to_owned(),
    };
    let strokes = keymap::strokes(text).map_err(|error| {
        refused(
            error.to_string(),
            "without `--screen` any text goes to the serial console",
        )
    })?;
    let ask = "`qmp query-status` shows how the machine stands";
    let status = qmp
        .query_status(KEY_WITHIN)
        .await
        .map_err(|error| refused(error.to_string(), ask))?;
    if status != RunState::running {
        return Err(refused(
            "the guest is paused, and its keyboard with it".to_owned(),
            "`resume` it first",
        ));
    }
    send(qmp, &strokes, |request| request)
        .await
        .map_err(|error| refused(error.to_string(), ask))?;
    Ok(strokes.len())
}

/// Types what nobody may see: the transcript keeps that keys were pressed, and not which.
pub(super) async fn type_secret(qmp: &Qmp, strokes: &[Stroke]) -> Result<(), QmpError> {
    send(qmp, strokes, Request::secret).await
}

async fn send(qmp: &Qmp, strokes: &[Stroke], as_is: impl Fn(Request) -> Request) -> Result<(), QmpError> {
    for burst in keymap::bursts(strokes) {
        for stroke in burst.strokes {
            qmp.send(as_is(Request::new("send-key", stroke.send_key())), KEY_WITHIN)
                .await?;
        }
        // No event tells that the keys are typed; what is sent too early is dropped.
        tokio::time::sleep(burst.takes).await;
    }
    Ok(())
}
