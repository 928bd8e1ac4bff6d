//! Text → the keys that type it on a keyboard of the US layout, for QMP's `send-key` and `input-send-event`. Pure.
//!
//! # Notation
//!
//! | written | typed |
//! |---|---|
//! | a printable ASCII character other than `<` | that character, with shift where the layout wants it |
//! | a line feed, a tab, a backspace (or DEL), an ESC | the key of that name |
//! | `<NAME>` | the key of that name: `<ret>`, `<tab>`, `<esc>`, `<up>`, `<f1>` |
//! | `<NAME-NAME>` | the keys together, in that order: `<ctrl-alt-del>`, `<ctrl-c>`, `<alt-sysrq-b>` |
//! | `<lt>` | a literal `<` (`>` stands for itself) |
//!
//! A NAME is one of [`names`], in any case, or one printable character other than `-` and `>`, whose case counts:
//! `<ctrl-C>` holds shift as well. The key of `-` is `<minus>`.

//!
//! # Pace
//!
//! QEMU answers `send-key` at once and types by and by, on the *guest's* clock: a paused guest is typed nothing. What is
//! still to be typed waits in a queue of 1024 entries, and what does not fit is dropped without a word (`queue_limit` in
//! QEMU's ui/input.c, 7.2 to 11). No event tells when the queue is empty. So a text is sent in [`bursts`] that fit.
//! `input-send-event` has no queue but the keyboard's 16 bytes: it is for single strokes.

mod layout;

use std::time::Duration;

use serde_json::{Value, json};

pub use layout::names;
use layout::{SHIFT, key_named, keys_of};

/// How many strokes one text may ask for. They take over a minute to type.
pub const STROKES_MAX: usize = 4096;
/// How long a key is held, and how long it then is up, on the guest's clock. QEMU's own default is 10 ms; polling firmware
/// misses some of those.
pub const HOLD_MS: u32 = 20;
/// Keys of one burst. Each takes at most six entries of QEMU's queue: down and up, each with a synchronisation and a delay.
const BURST_KEYS_MAX: usize = 1024 / 6;
/// How many keys may be down together.
pub const KEYS_TOGETHER_MAX: usize = 6;

/// Keys that go down in their order, and up again together: one character, or what `<…>` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stroke {
    keys: Vec<&'static str>,
}

/// Why a text can't be typed. Nothing has been typed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// The layout has no key for a character.
    #[error(
        "character {position}, {character:?} (U+{:04X}), is not on a US keyboard; what can be typed is printable ASCII, \
         a line feed, a tab and keys in angle brackets, such as `<ret>`",
        u32::from(*.character)
    )]
    NotOnKeyboard {
        /// What was asked for.
        character: char,
        /// Its place in the text, in characters from 1.
        position: usize,
    },
    /// A `<` without its `>`.
    #[error("character {position} is a `<` that no `>` closes; a literal `<` is written `<lt>`")]
    NotClosed {
        /// Its place in the text, in characters from 1.
        position: usize,
    },
    /// No key has that name.
    #[error("character {position} begins a key named {name:?}, which is not known{}; a literal `<` is written `<lt>`",
        .nearest.map(|near| format!("; `<{near}>` is near")).unwrap_or_default())]
    UnknownKey {
        /// What was written.
        name: String,
        /// The known name that is nearest, if one is near.
        nearest: Option<&'static str>,
        /// The place of its `<`, in characters from 1.
        position: usize,
    },
    /// More keys together than a keyboard reports.
    #[error("the keys that begin at character {position} are more than {KEYS_TOGETHER_MAX} together")]
    TooManyTogether {
        /// The place of its `<`, in characters from 1.
        position: usize,
    },
    /// The text is too long.
    #[error("the text asks for more than {STROKES_MAX} strokes; type it in parts, or copy a file over SSH")]
    TooLong,
}

impl Stroke {
    fn of(key: &'static str) -> Self {
        Self { keys: vec![key] }
    }

    /// The keys by QEMU's names, in the order in which they go down.
    pub fn keys(&self) -> &[&'static str] {
        &self.keys
    }

    /// The arguments of one QMP `send-key`.
    pub fn send_key(&self) -> Value {
        let keys: Vec<Value> = self.keys.iter().map(|key| code(key)).collect();
        json!({ "keys": keys, "hold-time": HOLD_MS })
    }

    /// The arguments of one QMP `input-send-event`: down in order, up in reverse.
    pub fn events(&self) -> Value {
        let event = |key: &str, down: bool| json!({"type": "key", "data": {"down": down, "key": code(key)}});
        let down = self.keys.iter().map(|key| event(key, true));
        let up = self.keys.iter().rev().map(|key| event(key, false));
        json!({ "events": down.chain(up).collect::<Vec<_>>() })
    }

    /// Adds keys that are not down already.
    fn press(&mut self, more: &[&'static str]) {
        for key in more {
            if !self.keys.contains(key) {
                self.keys.push(key);
            }
        }
    }
}

/// Strokes that QEMU can take one after another without a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burst<'a> {
    /// What to send.
    pub strokes: &'a [Stroke],
    /// How long QEMU types it, on the guest's clock. The next burst may be sent after that.
    pub takes: Duration,
}

/// Cuts strokes into bursts that QEMU drops nothing of.
pub fn bursts(mut strokes: &[Stroke]) -> Vec<Burst<'_>> {
    let mut bursts = Vec::new();
    while !strokes.is_empty() {
        let mut keys = 0;
        let fits = strokes
            .iter()
            .take_while(|stroke| {
                keys += stroke.keys.len();
                keys <= BURST_KEYS_MAX
            })
            .count();
        let (burst, rest) = strokes.split_at(fits);
        let presses: usize = burst.iter().map(|stroke| 2 * stroke.keys.len()).sum();
        bursts.push(Burst {
            strokes: burst,
            takes: Duration::from_millis(presses as u64 * u64::from(HOLD_MS)),
        });
        strokes = rest;
    }
    bursts
}

fn code(key: &str) -> Value {
    json!({ "type": "qcode", "data": key })
}

/// The strokes that type `text`, in the notation of this module.
pub fn strokes(text: &str) -> Result<Vec<Stroke>, KeymapError> {
    let mut strokes = Vec::new();
    let mut rest = text.chars().enumerate();
    while let Some((index, character)) = rest.next() {
        let position = index + 1;
        let stroke = if character == '<' {
            let mut closed = false;
            let name: String = rest
                .by_ref()
                .map(|(_, c)| c)
                .take_while(|c| {
                    closed = *c == '>';
                    !closed
                })
                .collect();
            if !closed {
                return Err(KeymapError::NotClosed { position });
            }
            named(&name, position)?
        } else {
            let keys = keys_of(character).ok_or(KeymapError::NotOnKeyboard { character, position })?;
            let mut stroke = Stroke { keys: Vec::new() };
            stroke.press(&keys);
            stroke
        };
        strokes.push(stroke);
        if strokes.len() > STROKES_MAX {
            return Err(KeymapError::TooLong);
        }
    }
    Ok(strokes)
}

/// A text that a keyboard of the US layout can't type as it is. Says where, and not what: the text may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("character {position} is not on a US keyboard")]
pub struct NotTypable {
    /// The place of the first character that no key has, in characters from 1.
    pub position: usize,
}

/// The strokes that type a line of text as it is, without this module's notation, and the Enter key. Control characters
/// are not typed: at a prompt they edit.
pub fn line(text: &str) -> Result<Vec<Stroke>, NotTypable> {
    let mut strokes = Vec::new();
    for (index, character) in text.chars().enumerate() {
        let keys = Some(character)
            .filter(|character| !character.is_control())
            .and_then(keys_of);
        let keys = keys.ok_or(NotTypable { position: index + 1 })?;
        strokes.push(Stroke { keys });
    }
    strokes.push(Stroke::of("ret"));
    Ok(strokes)
}

/// What stands in angle brackets.
fn named(name: &str, position: usize) -> Result<Stroke, KeymapError> {
    let lower = name.to_ascii_lowercase();
    if lower == "lt" {
        return Ok(Stroke {
            keys: vec![SHIFT, "comma"],
        });
    }
    if let Some(key) = key_named(&lower) {
        return Ok(Stroke::of(key));
    }
    let mut stroke = Stroke { keys: Vec::new() };
    for part in name.split('-') {
        let mut characters = part.chars();
        match (
            key_named(&part.to_ascii_lowercase()),
            characters.next(),
            characters.next(),
        ) {
            (Some(key), ..) => stroke.press(&[key]),
            (None, Some(character), None) if character.is_ascii_graphic() => {
                stroke.press(&keys_of(character).unwrap_or_default());
            }
            _ => {
                return Err(KeymapError::UnknownKey {
                    name: name.to_owned(),
                    nearest: nearest(&part.to_ascii_lowercase()),
                    position,
                });
            }
        }
    }
    if stroke.keys.len() > KEYS_TOGETHER_MAX {
        return Err(KeymapError::TooManyTogether { position });
    }
    Ok(stroke)
}

fn nearest(name: &str) -> Option<&'static str> {
    let near = names().map(|known| (strsim::osa_distance(known, name), known)).min()?;
    (near.0 <= 2 && near.0 < name.chars().count()).then_some(near.1)
}

#[cfg(test)]
mod tests;
