//! Readers of what a run leaves that are not bootgate's own, to hold it against: each panics about what is not well-formed, and
//! about what is there that a guest has put there.
#![allow(dead_code, reason = "each test binary uses its part")]

use pulldown_cmark::{Event, Options, Parser, Tag};
use serde_json::Value;

/// What a browser would read as elements, in order.
pub(crate) fn elements(page: &str) -> Vec<&str> {
    let tags = page.split('<').skip(1);
    tags.map(|tag| tag.split([' ', '>', '\n']).next().unwrap_or_default())
        .collect()
}

/// The elements that a page has whatever its logs say: links to lines that are not on it are missing, nothing else differs.
pub(crate) fn shape(page: &str) -> Vec<&str> {
    let links = ["a", "/a", "span", "/span", "ul", "/ul", "li", "/li"];
    elements(page)
        .into_iter()
        .filter(|name| !links.contains(name))
        .collect()
}

/// A page on which no character acts.
#[track_caller]
pub(crate) fn assert_page(page: &str) {
    let acts = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert_eq!(page.chars().find(|c| acts(*c)), None);
}

/// Markdown as GitHub reads it, in which only our own structure is: no link, no picture, no tag that is not ours, no heading
/// but one.
#[track_caller]
pub(crate) fn assert_markdown(page: &str) {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES | Options::ENABLE_GFM;
    let mut headings = 0;
    for event in Parser::new_ext(page, options) {
        match event {
            Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::FootnoteDefinition(_) | Tag::BlockQuote(_)) => {
                panic!("{event:?} in\n{page}")
            }
            Event::Start(Tag::Heading { .. }) => headings += 1,
            Event::Html(html) | Event::InlineHtml(html) => {
                let ours = ["<details><summary>The console's last lines</summary>", "</details>"];
                assert!(ours.contains(&html.trim()), "{html} in\n{page}");
            }
            _ => {}
        }
    }
    assert_eq!(headings, 1, "{page}");
    assert_eq!(crate::ci_log::acts(&page.replace('\u{fe0f}', "")), None, "{page}");
}

/// JUnit that a parser of XML reads, with as many cases and failures as it tells, and nothing that leads out of the run.
#[track_caller]
pub(crate) fn assert_junit(xml: &str, run: &str) {
    let document = roxmltree::Document::parse(xml).unwrap_or_else(|error| panic!("{error}\n{xml}"));
    let named = |name: &'static str| document.descendants().filter(move |node| node.has_tag_name(name));
    let told = |key: &str| document.root_element().attribute(key).map(str::parse::<usize>);
    assert_eq!(told("tests"), Some(Ok(named("testcase").count())), "{xml}");
    assert_eq!(told("failures"), Some(Ok(named("failure").count())), "{xml}");
    for out in named("system-out").filter_map(|node| node.text()) {
        for line in out.lines().filter(|line| line.contains("[[ATTACHMENT|")) {
            assert!(line.starts_with(&format!("[[ATTACHMENT|{run}/")), "{line}");
        }
    }
}

/// A trace as Perfetto reads it: known phases, times that are numbers, names that are text and say nothing to a terminal.
#[track_caller]
pub(crate) fn assert_chrome(text: &str) {
    let trace: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}"));
    let events = trace["traceEvents"].as_array().expect("events");
    assert!(events.len() >= 3);
    for event in events {
        let is_timed = event["ts"].is_u64() && (event["ph"] == "i" || event["dur"].is_u64());
        assert!(event["ph"] == "M" || is_timed, "{event}");
        assert!(["M", "X", "i"].iter().any(|phase| event["ph"] == *phase), "{event}");
        let name = event["name"].as_str().expect("a name");
        assert_eq!(crate::ci_log::acts(name), None, "{event}");
    }
    assert_eq!(crate::ci_log::acts(text), None);
}

/// What a terminal is told to do beyond printing and drawing, if anything.
#[derive(Default)]
struct Judge(Vec<String>);

impl vte::Perform for Judge {
    fn osc_dispatch(&mut self, parts: &[&[u8]], _: bool) {
        self.0.push(format!("command {parts:?}"));
    }
    fn hook(&mut self, _: &vte::Params, _: &[u8], _: bool, action: char) {
        self.0.push(format!("device control {action}"));
    }
    fn csi_dispatch(&mut self, _: &vte::Params, _: &[u8], _: bool, action: char) {
        // What makes a terminal answer, resize or print.
        if matches!(action, 'c' | 'n' | 't' | 'x' | 'i' | 'y') {
            self.0.push(format!("control {action}"));
        }
    }
}

/// A recording that a player can play on anybody's terminal: a header, then events in the order of time.
#[track_caller]
pub(crate) fn assert_cast(text: &str) {
    let mut lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    assert_eq!(lines.next().expect("a header")["version"], 2);
    let (mut at, mut judge, mut parser) = (0.0, Judge::default(), vte::Parser::new());
    for event in lines {
        let time = event[0].as_f64().expect("a time");
        assert!(time >= at && (event[1] == "o" || event[1] == "m"), "{}", event[1]);
        at = time;
        let text = event[2].as_str().expect("a text");
        if event[1] == "o" {
            parser.advance(&mut judge, text.as_bytes());
        }
    }
    judge.0.truncate(5);
    assert_eq!(judge.0, [""; 0]);
}
