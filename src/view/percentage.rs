//! Percentages in lines of text: which ones tell how far something is.

/// What stands before a percentage that is no progress.
const USES_BEFORE: &[&str] = &[
    "capacity", "cpu", "deflated", "idle", "load", "loss", "mem", "ratio", "usage", "use", "used",
];
/// What stands behind one.
const USES_BEHIND: &[&str] = &[
    "avail",
    "available",
    "busy",
    "capacity",
    "cpu",
    "free",
    "full",
    "idle",
    "loss",
    "mem",
    "memory",
    "nice",
    "of",
    "packet",
    "sys",
    "system",
    "used",
    "user",
    "usr",
];

/// A percentage, and what stands around it in its line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share<'a> {
    pub(super) percent: f64,
    pub(super) before: &'a str,
    after: &'a str,
}

impl<'a> Share<'a> {
    /// The percentage before this sign. `None` if the number is none, or too large.
    fn at(line: &'a str, sign: usize) -> Option<Self> {
        let (number, after) = (line[..sign].trim_end(), &line[sign + 1..]);
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | ',');
        let from = number.rfind(|c: char| !is_part(c));
        let from = from.map_or(0, |at| at + number[at..].chars().next().map_or(1, char::len_utf8));
        // Dots that lead to it are no part of it.
        let from = from + number[from..].len() - number[from..].trim_start_matches('.').len();
        let before = &line[..from];
        let percent = number[from..].replace(',', ".").parse::<f64>().ok()?;
        let is_share =
            (0.0..=100.0).contains(&percent) && !before.ends_with('-') && !after.starts_with(char::is_alphanumeric);
        is_share.then_some(Self { percent, before, after })
    }

    /// True if it says how full or busy something is, or how small something has become.
    fn is_use(&self) -> bool {
        let words = |text: &'a str| {
            text.split(|c: char| !c.is_alphanumeric())
                .filter(|word| !word.is_empty())
        };
        let is_one_of = |word: Option<&str>, uses: &[&str]| {
            word.is_some_and(|word| uses.iter().any(|one| word.eq_ignore_ascii_case(one)))
        };
        let is_use =
            is_one_of(words(self.before).next_back(), USES_BEFORE) || is_one_of(words(self.after).next(), USES_BEHIND);
        let (before, after) = (self.before.trim_end(), self.after.trim_start());
        // A ratio, and a mount point.
        is_use || before.ends_with("=>") || after.starts_with('/')
    }

    /// What it is the progress of, as far as the line says it.
    pub(super) fn what(&self) -> &'a str {
        let has_words = |text: &&str| text.contains(char::is_alphabetic);
        let text = [self.before, self.after].into_iter().find(has_words);
        let text = text.unwrap_or(self.before);
        let from = text.find(char::is_alphanumeric).unwrap_or(text.len());
        let from = from - usize::from(text[..from].ends_with('/'));
        let text = &text[from..];
        let end = text.rfind(|c: char| c.is_alphanumeric() || c == '%');
        let end = end.map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
        let closes = [('(', ')'), ('[', ']')]
            .iter()
            .any(|(open, close)| text[end..].starts_with(*close) && text[..end].contains(*open));
        &text[..end + usize::from(closes)]
    }
}

/// How far something is, by this line. Of several percentages the one that the line begins with, or the last one if nothing
/// but signs stands between them.
pub(super) fn percentage(line: &str) -> Option<Share<'_>> {
    let mut shares = line.match_indices('%').filter_map(|(sign, _)| Share::at(line, sign));
    let first = shares.next()?;
    let mut last = first;
    for share in shares {
        let between = &last.after[..last.after.len() - share.after.len()];
        if between.contains(char::is_alphabetic) || share.percent < last.percent {
            if first.before.contains(char::is_alphanumeric) {
                return None;
            }
            break;
        }
        last = Share {
            before: first.before,
            ..share
        };
    }
    (!last.is_use()).then_some(last)
}
