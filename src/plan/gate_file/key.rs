//! The keys of a gate file. A key is declared once, as a static [`Key`] in a [`Table`]; the reader, the complaint about
//! an unknown key and the JSON Schema are all made from that declaration.

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::DeValue;

use super::context::Context;

/// The kinds of stages, as the word behind `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StageWord {
    Boot,
    Command,
    InstalledBoot,
}

impl StageWord {
    pub(super) const ALL: [Self; 3] = [Self::Boot, Self::Command, Self::InstalledBoot];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Command => "command",
            Self::InstalledBoot => "installed-boot",
        }
    }
}

/// A value and the key that it stands behind.
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a Spanned<DeValue<'a>>,
}

/// What the value of a key must be.
pub(super) trait Kind: Sync + 'static {
    /// The value once it is read and checked.
    type Out;
    /// The value, or a mistake reported to `cx`.
    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<Self::Out>;
    /// A right value as TOML, for messages.
    fn example(&self) -> String;
    /// The JSON Schema of the value.
    fn schema(&self) -> Json;
    /// The table that the value is, or is a list of.
    fn table(&self) -> Option<&'static Table> {
        None
    }
}

/// Whether a key must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
    /// What holds when it is not written, as TOML.
    Default(&'static str),
}

/// A key of a table.
pub(super) struct Key<K> {
    pub(super) name: &'static str,
    pub(super) kind: K,
    pub(super) need: Need,
    /// The kinds of stages that have this key; empty: all, or not a stage's key.
    stages: &'static [StageWord],
    doc: &'static str,
}

impl<K: Kind> Key<K> {
    const fn new(name: &'static str, kind: K, need: Need, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            need,
            stages: &[],
            doc,
        }
    }

    pub(super) const fn required(name: &'static str, kind: K, doc: &'static str) -> Self {
        Self::new(name, kind, Need::Required, doc)
    }

    pub(super) const fn optional(name: &'static str, kind: K, doc: &'static str) -> Self {
        Self::new(name, kind, Need::Optional, doc)
    }

    pub(super) const fn default(name: &'static str, kind: K, toml: &'static str, doc: &'static str) -> Self {
        Self::new(name, kind, Need::Default(toml), doc)
    }

    pub(super) const fn only_in(mut self, stages: &'static [StageWord]) -> Self {
        self.stages = stages;
        self
    }
}

/// A key of whatever kind.
pub(super) trait AnyKey: Sync {
    fn name(&self) -> &'static str;
    fn need(&self) -> Need;
    fn stages(&self) -> &'static [StageWord];
    fn doc(&self) -> &'static str;
    fn example(&self) -> String;
    fn schema(&self) -> Json;
    fn table(&self) -> Option<&'static Table>;
    /// Reports what is wrong with a value, and forgets the value.
    fn check(&self, field: &Field<'_>, cx: &Context<'_>);
}

impl<K: Kind> AnyKey for Key<K> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn need(&self) -> Need {
        self.need
    }

    fn stages(&self) -> &'static [StageWord] {
        self.stages
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn example(&self) -> String {
        self.kind.example()
    }

    fn schema(&self) -> Json {
        self.kind.schema()
    }

    fn table(&self) -> Option<&'static Table> {
        self.kind.table()
    }

    fn check(&self, field: &Field<'_>, cx: &Context<'_>) {
        self.kind.read(field, cx);
    }
}

/// Keys of a table that exclude or need each other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Group {
    None,
    ExactlyOne(&'static [&'static str]),
    AtLeastOne(&'static [&'static str]),
}

/// A table of a gate file.
pub(super) struct Table {
    /// How messages call it, such as `` `[machine]` ``.
    pub(super) title: &'static str,
    pub(super) doc: &'static str,
    pub(super) keys: &'static [&'static dyn AnyKey],
    pub(super) group: Group,
}

impl Table {
    pub(super) fn key(&self, name: &str) -> Option<&'static dyn AnyKey> {
        self.keys.iter().copied().find(|key| key.name() == name)
    }

    /// This table and every table in it.
    pub(super) fn all(&'static self) -> Vec<&'static Table> {
        let inner = self.keys.iter().filter_map(|key| key.table()).flat_map(Table::all);
        std::iter::once(self).chain(inner).collect()
    }
}
