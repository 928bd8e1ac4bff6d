//! Where a key stands in a gate file, for a mark beside its line.

use toml::de::{DeTable, DeValue};

/// A step on the way to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStep {
    /// Into a table, or to a key in it.
    Key(&'static str),
    /// To a table of a list, from 0.
    Item(usize),
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// Where the last key on a way stands, as far as the way leads in this text; the start of the text if it leads nowhere.
pub fn place_of(text: &str, way: &[KeyStep]) -> Place {
    let (root, _) = DeTable::parse_recoverable(text);
    let start = walk(root.get_ref(), way).unwrap_or(0);
    let before = text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

/// The offset of the deepest key that is there, in bytes.
fn walk(root: &DeTable<'_>, way: &[KeyStep]) -> Option<usize> {
    let mut found = None;
    let mut table = Some(root);
    let mut list: Option<&[toml::Spanned<DeValue<'_>>]> = None;
    for step in way {
        let next = match step {
            KeyStep::Key(name) => {
                let mut entries = table.into_iter().flat_map(DeTable::iter);
                let entry = entries.find(|(key, _)| key.get_ref() == name);
                entry.map(|(key, value)| (key.span().start, value))
            }
            KeyStep::Item(index) => {
                let item = list.and_then(|list| list.get(*index));
                item.map(|value| (value.span().start, value))
            }
        };
        let Some((start, value)) = next else { break };
        found = Some(start);
        table = value.get_ref().as_table();
        list = value.get_ref().as_array().map(|list| &list[..]);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::KeyStep::{Item, Key};
    use super::*;

    const TEXT: &str = "gate = \"x\"\n\n[[stage]]\nname = \"a\"\n\n[[stage]]\nname = \"b\"\n  timeout = \"1m\"\n\n[stage.ssh]\nuser = \"u\"\n";

    fn at(way: &[KeyStep]) -> (usize, usize) {
        let place = place_of(TEXT, way);
        (place.line, place.column)
    }

    #[test]
    fn the_deepest_key_that_is_there_is_found() {
        assert_eq!(at(&[Key("gate")]), (1, 1));
        assert_eq!(at(&[Key("stage"), Item(0)]), (3, 1));
        assert_eq!(at(&[Key("stage"), Item(1)]), (6, 1));
        assert_eq!(at(&[Key("stage"), Item(1), Key("timeout")]), (8, 3));
        assert_eq!(at(&[Key("stage"), Item(1), Key("ssh"), Key("user")]), (11, 1));
        assert_eq!(
            at(&[Key("stage"), Item(0), Key("timeout")]),
            (3, 1),
            "not written: its stage"
        );
        assert_eq!(at(&[Key("machine"), Key("memory")]), (1, 1), "no such table");
    }
}
