//! From pages, one after the other, to the stream of text that they are windows on.

use super::page::Page;

/// Turns looks at a screen into a stream of lines, as a console would have sent it: what was said is not said again.
///
/// Pages overlap, because a screen scrolls. Where one does not continue the page before, it is said whole. The last line
/// is said once two looks have shown it unchanged, because before that it may still be being written; its line feed is
/// said when another line follows.
#[derive(Debug, Default)]
pub struct Follower {
    /// The lines of the last page that were said, as they were said.
    said: Vec<String>,
    /// The lines of the last page.
    seen: Vec<String>,
    /// True if the stream stands in a line.
    open: bool,
}

impl Follower {
    /// Looks at a page; gives what the stream goes on with.
    pub fn look(&mut self, page: &Page) -> String {
        let lines = page.lines();
        let mut stream = String::new();
        // A screen that is cleared or shows a picture says nothing; what comes back is no news.
        if lines.is_empty() {
            return stream;
        }
        let stands = lines == self.seen;
        let mut common = overlap(&self.said, &lines);
        let mut known = self.said.split_off(self.said.len() - common);
        if common == 0 {
            common = cut_elsewhere(&self.said, &lines);
            known = lines[..common].to_vec();
        }
        self.said.clear();
        for (at, line) in lines.iter().enumerate() {
            let may_grow = at + 1 == lines.len() && !stands;
            match known.get(at) {
                Some(before) if may_grow => self.said.push(before.clone()),
                Some(before) => {
                    if at + 1 == common {
                        stream.push_str(&line[shared(before, line)..]);
                    }
                    self.said.push(line.clone());
                }
                None if may_grow => {}
                None => {
                    if std::mem::replace(&mut self.open, true) {
                        stream.push('\n');
                    }
                    stream.push_str(line);
                    self.said.push(line.clone());
                }
            }
        }
        self.seen = lines;
        stream
    }
}

/// How many lines at the end of what was said are the first lines of the page.
fn overlap(said: &[String], lines: &[String]) -> usize {
    let continues = |count: &usize| {
        let mut pairs = said[said.len() - count..].iter().zip(lines);
        let last = pairs.next_back();
        let begins = pairs
            .next()
            .is_none_or(|(before, now)| before == now || (!now.is_empty() && before.ends_with(now)));
        begins && pairs.all(|(before, now)| before == now) && last.is_none_or(|(before, now)| is_same(before, now))
    };
    let most = said.len().min(lines.len());
    (1..=most).rev().find(continues).unwrap_or(0)
}

/// How many lines of the page are the end of what was said with its line ends elsewhere. A screen that gets more columns
/// keeps its rows: what went on from row to row before ends with each of them now.
fn cut_elsewhere(said: &[String], lines: &[String]) -> usize {
    let marks = |lines: &[String]| lines.concat().replace(char::is_whitespace, "");
    let said = marks(said);
    let is_end = |count: &usize| said.ends_with(&marks(&lines[..*count]));
    if said.is_empty() {
        return 0;
    }
    (1..=lines.len()).rev().find(is_end).unwrap_or(0)
}

/// True if it is the line that was said, maybe longer or with another end: a hint in it goes when somebody types.
fn is_same(before: &str, now: &str) -> bool {
    2 * shared(before, now) >= before.len()
}

/// How many bytes two lines begin with in common.
fn shared(one: &str, other: &str) -> usize {
    let pairs = one.chars().zip(other.chars());
    pairs.take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(lines: &[&str]) -> Page {
        Page::of(lines.iter().map(|line| (*line).to_owned()).collect())
    }

    fn follow(pages: &[&[&str]]) -> String {
        let mut follower = Follower::default();
        pages.iter().map(|lines| follower.look(&page(lines))).collect()
    }

    #[test]
    fn the_last_line_is_said_when_it_stands() {
        assert_eq!(follow(&[&["Loading ...", "Pass"]]), "Loading ...");
        let looks: [&[&str]; 4] = [
            &["Loading ...", "Pass"],
            &["Loading ...", "Passphrase: "],
            &["Loading ...", "Passphrase: "],
            &[],
        ];
        assert_eq!(follow(&looks), "Loading ...\nPassphrase: ");
    }

    #[test]
    fn what_was_said_is_not_said_again() {
        let (a, b, c): (&[&str], &[&str], &[&str]) = (
            &["one", "two", "ask:"],
            &["two", "ask:", "Sorry."],
            &["ask:", "Sorry.", "ask:"],
        );
        assert_eq!(follow(&[a, a, b, b, b, c, c, c]), "one\ntwo\nask:\nSorry.\nask:");
    }

    #[test]
    fn a_line_that_is_asked_again_is_another_line() {
        assert_eq!(
            follow(&[&["ask:"], &["ask:"], &["ask:", "ask:"], &["ask:", "ask:"]]),
            "ask:\nask:"
        );
    }

    #[test]
    fn a_hint_that_goes_leaves_the_line_the_same() {
        let (hint, typed): (&[&str], &[&str]) = (&["Please enter: (press TAB)"], &["Please enter: ****"]);
        assert_eq!(follow(&[hint, hint, typed, typed]), "Please enter: (press TAB)****");
    }

    #[test]
    fn a_screen_that_gets_more_columns_says_nothing_again() {
        let narrow: &[&str] = &["[ 1.0] a line over two rows", "Passphrase for disk (luks-12-34):"];
        let wide: &[&str] = &[
            "[ 1.0] a line over",
            "two rows",
            "Passphrase for disk (lu",
            "ks-12-34):",
        ];
        let stream = narrow.join("\n");
        assert_eq!(follow(&[narrow, narrow, wide, wide]), stream);
        let more: Vec<&str> = wide.iter().copied().chain(["Sorry.", "Passphrase"]).collect();
        assert_eq!(
            follow(&[narrow, narrow, wide, wide, &more, &more]),
            format!("{stream}\nSorry.\nPassphrase")
        );
    }

    #[test]
    fn a_screen_that_comes_back_says_nothing_new() {
        let text: &[&str] = &["one", "two"];
        assert_eq!(follow(&[text, text, &[], &[], text, text]), "one\ntwo");
        assert_eq!(follow(&[text, text, &["else"], &["else"]]), "one\ntwo\nelse");
    }

    proptest! {
        #[test]
        fn a_scrolling_screen_says_each_line_once(count in 1usize..60, height in 4usize..12, step in 1usize..4) {
            let all: Vec<String> = (0..count).map(|number| format!("{number} is the number of this line")).collect();
            let mut follower = Follower::default();
            let mut stream = String::new();
            for shown in (1..=count).step_by(step).chain([count, count]) {
                let from = shown.saturating_sub(height);
                stream.push_str(&follower.look(&Page::of(all[from..shown].to_vec())));
            }
            prop_assert_eq!(stream, all.join("\n"));
        }

        #[test]
        fn any_pages_are_followed(pages in prop::collection::vec(prop::collection::vec("[ab]{0,3}", 0..5), 0..8)) {
            let mut follower = Follower::default();
            for lines in pages {
                follower.look(&Page::of(lines));
            }
        }
    }
}
