//! Pressing keys on the machine's keyboard.

use std::time::Duration;

use serde_json::json;

use crate::control::Refusal;
use crate::qemu::keymap;
use crate::qmp::Qmp;

/// How long QEMU may take to take one key.
const KEY_WITHIN: Duration = Duration::from_secs(5);
/// How long each key is down, in milliseconds: long enough for a guest that polls its keyboard.
const KEY_DOWN_MS: u32 = 20;

/// Types text in the keymap's notation; gives the number of keystrokes. Nothing is typed if a part of it has no key.
pub(super) async fn press(qmp: &Qmp, text: &str) -> Result<usize, Refusal> {
    let strokes = keymap::strokes(text).map_err(|error| Refusal {
        problem: error.to_string(),
        help: "`type --serial` sends any bytes to the serial console".to_owned(),
    })?;
    for stroke in &strokes {
        let keys: Vec<_> = stroke
            .iter()
            .map(|key| json!({ "type": "qcode", "data": key }))
            .collect();
        let arguments = json!({ "keys": keys, "hold-time": KEY_DOWN_MS });
        qmp.execute_raw("send-key", arguments, KEY_WITHIN)
            .await
            .map_err(|error| Refusal {
                problem: error.to_string(),
                help: "`qmp query-status` shows how the machine stands".to_owned(),
            })?;
    }
    Ok(strokes.len())
}
