//! A row of the catalogue, and the row of a cause.

use super::{guest, host, install};
use crate::machine::Cause;

/// What a person needs who meets a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// The cause.
    pub cause: Cause,
    /// How it is known: the events, and what confirms them.
    pub detected: &'static str,
    /// Files of the run that tell more, the most telling one first.
    pub evidence: &'static [&'static str],
    /// The command to type next.
    pub next: &'static str,
}

pub(super) const fn row(
    cause: Cause,
    detected: &'static str,
    evidence: &'static [&'static str],
    next: &'static str,
) -> Explanation {
    Explanation {
        cause,
        detected,
        evidence,
        next,
    }
}

/// Commands that come next after many causes.
pub(super) const INSPECT: &str = "bootgate inspect last";
pub(super) const TRACE: &str = "bootgate trace last";
pub(super) const DOCTOR: &str = "bootgate doctor gate.toml";
pub(super) const CHECK: &str = "bootgate check gate.toml";
pub(super) const AGAIN: &str = "bootgate run gate.toml";

/// Every row.
fn rows() -> impl Iterator<Item = &'static Explanation> {
    let all = [
        guest::ROWS,
        guest::ACCESS_ROWS,
        install::ROWS,
        install::INSTALLED_ROWS,
        host::ROWS,
        host::RUN_ROWS,
    ];
    all.into_iter().flatten()
}

impl Cause {
    /// How the cause is known and what to do with it. `None`: nobody has written it down, which a test forbids.
    pub fn explanation(self) -> Option<&'static Explanation> {
        rows().find(|row| row.cause == self)
    }
}

/// What the catalogue lacks, or has twice, of these causes.
#[cfg(test)]
fn lacks(causes: &[Cause], rows: &[&Explanation]) -> Vec<String> {
    let mut lacks = Vec::new();
    for cause in causes {
        let of_it: Vec<_> = rows.iter().filter(|row| row.cause == *cause).collect();
        match of_it[..] {
            [row] => {
                let is_sentence = row.detected.len() > 20 && row.detected.ends_with('.');
                let facts = cause.facts();
                let is_good = matches!(
                    facts.class,
                    crate::machine::Class::Passed | crate::machine::Class::Cancelled
                );
                if !is_sentence || row.next.is_empty() || (row.evidence.is_empty() && !is_good) {
                    lacks.push(format!("`{}` is not explained whole", cause.id()));
                }
            }
            _ => lacks.push(format!("`{}` has {} rows", cause.id(), of_it.len())),
        }
    }
    lacks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_explained_once_and_whole() {
        let rows: Vec<_> = rows().collect();
        assert_eq!(lacks(Cause::ALL, &rows), Vec::<String>::new());
        assert_eq!(rows.len(), Cause::ALL.len());
    }

    #[test]
    fn the_check_sees_what_is_missing_twice_or_empty() {
        let rows: Vec<_> = rows().collect();
        let without: Vec<_> = rows
            .iter()
            .copied()
            .filter(|row| row.cause != Cause::KernelPanic)
            .collect();
        assert_eq!(lacks(Cause::ALL, &without), ["`kernel-panic` has 0 rows"]);
        let twice: Vec<_> = rows.iter().copied().chain(Cause::KernelPanic.explanation()).collect();
        assert_eq!(lacks(Cause::ALL, &twice), ["`kernel-panic` has 2 rows"]);
        let empty = row(Cause::KernelPanic, "", &[], "");
        let empty: Vec<_> = without.into_iter().chain([&empty]).collect();
        assert_eq!(lacks(Cause::ALL, &empty), ["`kernel-panic` is not explained whole"]);
    }
}
