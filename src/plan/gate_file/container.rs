//! Choices, lists and tables.

use serde_json::{Value as Json, json};

use super::context::Context;
use super::key::{Field, Kind, Table};
use super::reader::{TableReader, open_list};
use super::schema::table_schema;
use super::suggest::nearest;
use super::value::{bad_value, or_list, string, wrong_type, wrong_type_but};

/// One of some words.
pub(super) struct Choice<T: 'static> {
    pub(super) all: &'static [T],
    pub(super) name: fn(T) -> &'static str,
}

impl<T: Copy + Sync + 'static> Choice<T> {
    fn names(&self) -> Vec<&'static str> {
        self.all.iter().map(|it| (self.name)(*it)).collect()
    }
}

impl<T: Copy + Sync + 'static> Kind for Choice<T> {
    type Out = T;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<T> {
        let names = self.names();
        let list: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let word = string(field, &or_list(&list), cx)?;
        let found = self.all.iter().copied().find(|it| (self.name)(*it) == word);
        if found.is_none() {
            let message = format!("`{}` can't be \"{word}\"", field.name);
            let mistake = match nearest(word, names) {
                Some(known) => {
                    let help = format!("it can be {}", or_list(&list));
                    bad_value(field, message, format!("did you mean \"{known}\"?")).help(help)
                }
                None => bad_value(field, message, format!("expected {}", or_list(&list))),
            };
            cx.report(mistake);
        }
        found
    }

    fn example(&self) -> String {
        self.names()
            .first()
            .map_or_else(String::new, |name| format!("\"{name}\""))
    }

    fn schema(&self) -> Json {
        json!({ "enum": self.names() })
    }
}

/// A list of values of one kind.
pub(super) struct List<K>(pub(super) K);

impl<K: Kind> Kind for List<K> {
    type Out = Vec<K::Out>;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<Vec<K::Out>> {
        let Some(values) = field.value.get_ref().as_array() else {
            let written = cx.text.get(field.value.span()).unwrap_or_default();
            let one_line = field.value.get_ref().is_str() && !written.contains('\n');
            cx.report(if one_line {
                wrong_type_but(field, "a list", format!("write `[{written}]`"))
            } else {
                wrong_type(field, "a list")
            });
            return None;
        };
        let name = field.name;
        let items: Vec<_> = values
            .iter()
            .map(|value| self.0.read(&Field { name, value }, cx))
            .collect();
        items.into_iter().collect()
    }

    fn example(&self) -> String {
        "[…]".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "array", "items": self.0.schema() })
    }

    fn table(&self) -> Option<&'static Table> {
        self.0.table()
    }
}

/// A table, read key by key through [`TableReader::table`].
pub(super) struct SubTable(pub(super) &'static Table);

impl Kind for SubTable {
    type Out = ();

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<()> {
        TableReader::open(field, self.0, cx).map(|table| table.check_values())
    }

    fn example(&self) -> String {
        "{ … }".to_owned()
    }

    fn schema(&self) -> Json {
        table_schema(self.0)
    }

    fn table(&self) -> Option<&'static Table> {
        Some(self.0)
    }
}

/// A list of tables, read through [`TableReader::tables`].
pub(super) struct ListOfTables(pub(super) &'static Table);

impl Kind for ListOfTables {
    type Out = ();

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<()> {
        open_list(field, self.0, cx).iter().for_each(TableReader::check_values);
        Some(())
    }

    fn example(&self) -> String {
        "[{ … }]".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "array", "items": table_schema(self.0) })
    }

    fn table(&self) -> Option<&'static Table> {
        Some(self.0)
    }
}
