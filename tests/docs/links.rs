//! Links between the pages lead to files and headings that are there.

use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::pages::{pages, top};

/// The anchors that a forge makes of headings.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors = Vec::new();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => anchors.extend(heading.take().map(|text| anchor(&text))),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    anchors
}

fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in pages() {
        let folder = Path::new(&page.name).parent().unwrap().to_owned();
        for event in Parser::new_ext(&page.text, Options::ENABLE_TABLES) {
            let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = event else {
                continue;
            };
            if dest_url.contains("://") {
                continue;
            }
            count += 1;
            let (file, heading) = dest_url.split_once('#').unwrap_or((&dest_url, ""));
            let target = match file {
                "" => PathBuf::from(&page.name),
                file => plain(&folder.join(file)),
            };
            let path = top().join(&target);
            let there = path.exists()
                && (heading.is_empty()
                    || anchors(&std::fs::read_to_string(&path).unwrap_or_default()).contains(&heading.to_owned()));
            if !there {
                wrong.push(format!("{}: {dest_url}", page.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 20, "{count}");
}

/// Every page can be reached from the README by following links.
#[test]
fn no_page_is_lost() {
    let pages = pages();
    let mut reached = vec!["README.md".to_owned()];
    let mut next = 0;
    while let Some(name) = reached.get(next).cloned() {
        next += 1;
        let Some(page) = pages.iter().find(|page| page.name == name) else {
            continue;
        };
        let folder = Path::new(&name).parent().unwrap();
        for event in Parser::new_ext(&page.text, Options::ENABLE_TABLES) {
            let Event::Start(Tag::Link { dest_url, .. }) = event else {
                continue;
            };
            let target = plain(&folder.join(dest_url.split('#').next().unwrap()));
            let target = target.to_str().unwrap().to_owned();
            if pages.iter().any(|page| page.name == target) && !reached.contains(&target) {
                reached.push(target);
            }
        }
    }
    let lost: Vec<_> = pages
        .iter()
        .filter(|page| !reached.contains(&page.name))
        .map(|page| &page.name)
        .collect();
    assert!(lost.is_empty(), "no link leads to {lost:?}");
}
