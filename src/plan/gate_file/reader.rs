//! Reads the keys of one table.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::container::{ListOfTables, SubTable};
use super::context::Context;
use super::diagnostic::Mistake;
use super::key::{AnyKey, Field, Group, Key, Kind, Need, StageWord, Table};

use super::suggest::unknown_key;
use super::value::{or_list, wrong_type};

/// One table of the gate file. Opening it reports the keys that it should not have.
pub(super) struct TableReader<'a> {
    pub(super) cx: &'a Context<'a>,
    spec: &'static Table,
    title: String,
    header: Range<usize>,
    entries: Option<&'a DeTable<'a>>,
}

impl<'a> TableReader<'a> {
    /// Opens the value of a key as the table `spec`.
    pub(super) fn open(field: &Field<'a>, spec: &'static Table, cx: &'a Context<'a>) -> Option<Self> {
        let Some(entries) = field.value.get_ref().as_table() else {
            cx.report(not_a_table(field, spec));
            return None;
        };
        Some(Self::of(entries, field.value.span(), spec, cx))
    }

    /// Opens a table that is at hand.
    pub(super) fn of(
        entries: &'a DeTable<'a>,
        header: Range<usize>,
        spec: &'static Table,
        cx: &'a Context<'a>,
    ) -> Self {
        let reader = Self {
            cx,
            spec,
            title: spec.title.to_owned(),
            header,
            entries: Some(entries),
        };
        reader.check_keys();
        reader.check_group();
        reader
    }

    /// A table that is not written: all its keys have their defaults.
    fn absent(spec: &'static Table, cx: &'a Context<'a>) -> Self {
        Self {
            cx,
            spec,
            title: spec.title.to_owned(),
            header: 0..0,
            entries: None,
        }
    }

    /// What messages call this table from now on.
    pub(super) fn rename(&mut self, title: String) {
        self.title = title;
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    pub(super) fn header(&self) -> Range<usize> {
        self.header.clone()
    }

    fn entry(&self, name: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.entries.and_then(|entries| entries.get(name))
    }

    /// True if the key is written, right or wrong.
    pub(super) fn has<K: Kind>(&self, key: &Key<K>) -> bool {
        self.entry(key.name).is_some()
    }

    /// Where the value of the key stands; the table's header if it is not written.
    pub(super) fn span<K: Kind>(&self, key: &Key<K>) -> Range<usize> {
        self.entry(key.name).map_or_else(|| self.header(), Spanned::span)
    }

    /// The value of the key or its default. `None`: not written, or a mistake that was reported.
    pub(super) fn take<K: Kind>(&self, key: &Key<K>) -> Option<K::Out> {
        let name = key.name;
        if let Some(value) = self.entry(name) {
            return key.kind.read(&Field { name, value }, self.cx);
        }
        match key.need {
            Need::Optional => None,
            Need::Default(toml) => {
                let value = DeValue::parse(toml).expect("the declared defaults are TOML: a test reads them all");
                key.kind.read(&Field { name, value: &value }, self.cx)
            }
            Need::Required => {
                self.report_missing(key);
                None
            }
        }
    }

    fn report_missing<K: Kind>(&self, key: &Key<K>) {
        let message = format!("{} has no `{}`", self.title, key.name);
        let label = format!("add `{} = {}`", key.name, key.kind.example());
        self.report(Mistake::new(self.header(), message, label));
    }

    /// The table behind the key; if it is not written and need not be, one that has only defaults.
    pub(super) fn table(&self, key: &Key<SubTable>) -> Option<TableReader<'a>> {
        let name = key.name;
        match self.entry(name) {
            Some(value) => Self::open(&Field { name, value }, key.kind.0, self.cx),
            None if key.need == Need::Required => {
                let message = format!("{} has no table `{name}`", self.title);
                self.report(Mistake::new(
                    self.header(),
                    message,
                    format!("add the table {}", key.kind.0.title),
                ));
                None
            }
            None => Some(Self::absent(key.kind.0, self.cx)),
        }
    }

    /// The tables behind the key, in order.
    pub(super) fn tables(&self, key: &Key<ListOfTables>) -> Vec<TableReader<'a>> {
        let Some(value) = self.entry(key.name) else {
            return Vec::new();
        };
        open_list(&Field { name: key.name, value }, key.kind.0, self.cx)
    }

    pub(super) fn report(&self, mistake: Mistake) {
        self.cx.report(mistake);
    }

    /// Reports keys that only other kinds of stages have.
    pub(super) fn check_stage_kind(&self, kind: StageWord) {
        for (name, key) in self.known() {
            let stages = key.stages();
            if stages.is_empty() || stages.contains(&kind) {
                continue;
            }
            let owners: Vec<_> = stages.iter().map(|stage| format!("`{}`", stage.as_str())).collect();
            let message = format!("`{}` is a key of {} stages only", key.name(), owners.join(" and "));
            let label = format!("{} is a `{}` stage", self.title, kind.as_str());
            self.report(Mistake::new(name.span(), message, label));
        }
    }

    /// Reports what is wrong with the values, for a table whose meaning is not known.
    pub(super) fn check_values(&self) {
        for (name, key) in self.known() {
            if let Some(value) = self.entry(name.get_ref()) {
                key.check(
                    &Field {
                        name: key.name(),
                        value,
                    },
                    self.cx,
                );
            }
        }
    }

    /// The keys that are written and known.
    fn known(&self) -> impl Iterator<Item = (&'a Spanned<toml::de::DeString<'a>>, &'static dyn AnyKey)> {
        let spec = self.spec;
        let names = self
            .entries
            .into_iter()
            .flat_map(|entries| entries.iter().map(|(name, _)| name));
        names.filter_map(move |name| spec.key(name.get_ref()).map(|key| (name, key)))
    }

    fn check_keys(&self) {
        for (name, _) in self.entries.into_iter().flat_map(|entries| entries.iter()) {
            if self.spec.key(name.get_ref()).is_none() {
                self.report(unknown_key(name.get_ref(), name.span(), self.spec));
            }
        }
    }

    fn check_group(&self) {
        let (Group::ExactlyOne(names) | Group::AtLeastOne(names)) = self.spec.group else {
            return;
        };
        let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        let list = or_list(&quoted);
        let mut present: Vec<_> = names
            .iter()
            .filter_map(|name| Some((*name, self.entry(name)?.span())))
            .collect();
        present.sort_by_key(|(_, span)| span.start);
        match (present.as_slice(), self.spec.group) {
            ([], _) => {
                let example = names
                    .first()
                    .and_then(|name| Some((name, self.spec.key(name)?.example())));
                let label = example.map_or_else(String::new, |(name, value)| {
                    format!("add for example `{name} = {value}`")
                });
                let message = format!("{} needs {list}", self.title);
                self.report(Mistake::new(self.header(), message, label));
            }
            ([(first, first_span), others @ ..], Group::ExactlyOne(_)) => {
                for (other, span) in others {
                    let message = format!("{} has both `{first}` and `{other}`", self.title);
                    let label = format!("take one of {list}");
                    let mistake = Mistake::new(span.clone(), message, label);
                    self.report(mistake.related(first_span.clone(), format!("`{first}` is here")));
                }
            }
            _ => {}
        }
    }
}

/// Opens the value of a key as a list of tables.
pub(super) fn open_list<'a>(field: &Field<'a>, spec: &'static Table, cx: &'a Context<'a>) -> Vec<TableReader<'a>> {
    let name = field.name;
    let Some(values) = field.value.get_ref().as_array() else {
        cx.report(not_a_list(field, spec));
        return Vec::new();
    };
    values
        .iter()
        .filter_map(|value| TableReader::open(&Field { name, value }, spec, cx))
        .collect()
}

fn not_a_table(field: &Field<'_>, spec: &Table) -> Mistake {
    let name = field.name;
    if field.value.get_ref().is_array() && spec.title.starts_with("`[") {
        let message = format!("`{name}` is one table, not a list of tables");
        return Mistake::new(field.value.span(), message, format!("write `[{name}]`, once"));
    }
    wrong_type(field, &format!("a table, {}", spec.title))
}

fn not_a_list(field: &Field<'_>, spec: &Table) -> Mistake {
    let name = field.name;
    if field.value.get_ref().is_table() && spec.title.starts_with("`[[") {
        let message = format!("`{name}` is a list of tables, and has double brackets");
        return Mistake::new(field.value.span(), message, format!("write `[[{name}]]`"));
    }
    wrong_type(field, &format!("a list of tables, {}", spec.title))
}
