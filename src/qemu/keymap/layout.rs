//! The keyboard: which key carries which character, and what QEMU calls it.

/// The shifted and the plain characters of the layout, and the key that carries both.
pub(super) const LAYOUT: &[(char, char, &str)] = &[
    ('`', '~', "grave_accent"),
    ('1', '!', "1"),
    ('2', '@', "2"),
    ('3', '#', "3"),
    ('4', '$', "4"),
    ('5', '%', "5"),
    ('6', '^', "6"),
    ('7', '&', "7"),
    ('8', '*', "8"),
    ('9', '(', "9"),
    ('0', ')', "0"),
    ('-', '_', "minus"),
    ('=', '+', "equal"),
    ('[', '{', "bracket_left"),
    (']', '}', "bracket_right"),
    ('\\', '|', "backslash"),
    (';', ':', "semicolon"),
    ('\'', '"', "apostrophe"),
    (',', '<', "comma"),
    ('.', '>', "dot"),
    ('/', '?', "slash"),
];

/// Key codes of the letters, in order.
pub(super) const LETTERS: [&str; 26] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w",
    "x", "y", "z",
];

/// Names for `<…>` and QEMU's key codes (`QKeyCode` in QEMU's qapi/ui.json).
pub(super) const NAMED: &[(&str, &str)] = &[
    ("ret", "ret"),
    ("enter", "ret"),
    ("tab", "tab"),
    ("esc", "esc"),
    ("spc", "spc"),
    ("space", "spc"),
    ("backspace", "backspace"),
    ("del", "delete"),
    ("delete", "delete"),
    ("insert", "insert"),
    ("home", "home"),
    ("end", "end"),
    ("pgup", "pgup"),
    ("pgdn", "pgdn"),
    ("up", "up"),
    ("down", "down"),
    ("left", "left"),
    ("right", "right"),
    ("f1", "f1"),
    ("f2", "f2"),
    ("f3", "f3"),
    ("f4", "f4"),
    ("f5", "f5"),
    ("f6", "f6"),
    ("f7", "f7"),
    ("f8", "f8"),
    ("f9", "f9"),
    ("f10", "f10"),
    ("f11", "f11"),
    ("f12", "f12"),
    ("ctrl", "ctrl"),
    ("shift", "shift"),
    ("alt", "alt"),
    ("altgr", "alt_r"),
    ("meta", "meta_l"),
    ("win", "meta_l"),
    ("menu", "menu"),
    ("sysrq", "sysrq"),
    ("print", "print"),
    ("pause", "pause"),
    ("capslock", "caps_lock"),
    ("numlock", "num_lock"),
    ("scrolllock", "scroll_lock"),
    ("minus", "minus"),
];

pub(super) const SHIFT: &str = "shift";

/// The names that may stand in angle brackets, without `lt`.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMED.iter().map(|(name, _)| *name)
}

/// The keys of one character, shift first.
pub(super) fn keys_of(character: char) -> Option<Vec<&'static str>> {
    let control = match character {
        ' ' => Some("spc"),
        '\n' => Some("ret"),
        '\t' => Some("tab"),
        '\u{8}' | '\u{7f}' => Some("backspace"),
        '\u{1b}' => Some("esc"),
        _ => None,
    };
    if let Some(key) = control {
        return Some(vec![key]);
    }
    if character.is_ascii_alphabetic() {
        let letter = LETTERS[usize::from(character.to_ascii_lowercase() as u8 - b'a')];
        return Some(if character.is_ascii_uppercase() {
            vec![SHIFT, letter]
        } else {
            vec![letter]
        });
    }
    LAYOUT.iter().find_map(|&(plain, shifted, key)| match character {
        c if c == plain => Some(vec![key]),
        c if c == shifted => Some(vec![SHIFT, key]),
        _ => None,
    })
}

/// The key of a name, in lower case.
pub(super) fn key_named(name: &str) -> Option<&'static str> {
    NAMED.iter().find_map(|&(known, key)| (known == name).then_some(key))
}
