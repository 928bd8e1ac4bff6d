//! The keyboard's table against QEMU's own types.

use bootgate::qemu::keymap::{Stroke, names, strokes};

#[test]
fn every_key_is_one_of_qemus() {
    let named = names().map(|name| format!("<{name}>"));
    let printable = (' '..='~').filter(|c| *c != '<').map(String::from);
    for text in named.chain(printable).chain(["\n\t\u{8}\u{1b}".to_owned()]) {
        for key in strokes(&text).unwrap().iter().flat_map(Stroke::keys) {
            let read: Result<qapi_qmp::QKeyCode, _> = serde_json::from_value((*key).into());
            assert!(read.is_ok(), "{key}: {read:?}");
        }
    }
}
