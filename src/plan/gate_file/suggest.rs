//! What somebody meant who wrote a word that is not known.

use std::ops::Range;

use super::diagnostic::Mistake;
use super::gate::ROOT;
use super::key::Table;
use super::value::or_list;

/// The candidate that `word` is most likely a slip of.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    let limit = (word.chars().count() / 3).max(1);
    let distances = candidates.into_iter().map(|candidate| {
        let distance = strsim::damerau_levenshtein(&word, &plain(candidate));
        (distance, candidate)
    });
    let (distance, candidate) = distances.min()?;
    (distance <= limit).then_some(candidate)
}

/// Words that differ only in case, `-` and `_` are the same word.
fn plain(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '-' | '_'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The complaint about a key that `table` does not have.
pub(super) fn unknown_key(name: &str, span: Range<usize>, table: &'static Table) -> Mistake {
    let message = format!("unknown key `{name}` in {}", table.title);
    if let Some(known) = nearest(name, table.keys.iter().map(|key| key.name())) {
        return Mistake::new(span, message, format!("did you mean `{known}`?"));
    }
    let elsewhere = ROOT.all().into_iter().filter(|other| other.key(name).is_some());
    let mut elsewhere: Vec<_> = elsewhere.map(|other| other.title.to_owned()).collect();
    elsewhere.sort_unstable();
    elsewhere.dedup();
    let mut known: Vec<_> = table.keys.iter().map(|key| key.name()).collect();
    known.sort_unstable();
    let keys = format!("{} has the keys {}", table.title, known.join(", "));
    match elsewhere.as_slice() {
        [] => Mistake::new(span, message, "not a key of any table").help(keys),
        [place] if place == ROOT.title => {
            Mistake::new(span, message, "this key belongs to no table").help("move it above the first `[table]`")
        }
        places => Mistake::new(span, message, format!("this key belongs to {}", or_list(places))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_seen_through() {
        let known = ["memory", "cpus", "cpu-model", "iso"];
        assert_eq!(nearest("memroy", known), Some("memory"));
        assert_eq!(nearest("cpu_model", known), Some("cpu-model"));
        assert_eq!(nearest("CPUs", known), Some("cpus"));
        assert_eq!(nearest("kernel", known), None);
    }
}
