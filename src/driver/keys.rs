//! Pressing keys on the machine's keyboard.

use std::time::Duration;

use crate::control::Refusal;
use crate::qemu::keymap;
use crate::qmp::{Qmp, RunState};

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
    for burst in keymap::bursts(&strokes) {
        for stroke in burst.strokes {
            let sent = qmp.execute_raw("send-key", stroke.send_key(), KEY_WITHIN).await;
            sent.map_err(|error| refused(error.to_string(), ask))?;
        }
        // No event tells that the keys are typed; what is sent too early is dropped.
        tokio::time::sleep(burst.takes).await;
    }
    Ok(strokes.len())
}
