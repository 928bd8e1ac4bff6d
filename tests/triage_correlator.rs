//! Order, distance and absence: what the correlator makes of lines, whatever stands between them and however they arrive.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bootgate::triage::{Bench, Correlator, LogScan, Rules, Source, parse_rules};
use proptest::prelude::*;

/// A rule of this shape, with texts that nothing else holds.
fn rule(id: &str, shape: &str) -> String {
    format!(
        "[[rule]]\nid = \"{id}\"\nclass = \"failed\"\ncause = \"cause\"\nsources = [\"serial\"]\n{shape}\n\
         title = \"Title\"\nroot-cause = \"Why.\"\nremedy = \"Do.\"\n\n"
    )
}

fn rules(shapes: &[(&str, &str)]) -> Arc<Rules> {
    let text: String = shapes.iter().map(|(id, shape)| rule(id, shape)).collect();
    let rules = parse_rules(Path::new("rules.toml"), &text, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    Arc::new(Rules::new(rules).unwrap())
}

fn ids(rules: &Rules, found: &[bootgate::triage::Finding]) -> Vec<String> {
    found
        .iter()
        .map(|finding| rules.rule(finding.rule).id.clone())
        .collect()
}

const SHAPES: [(&str, &str); 9] = [
    ("then", "steps = [{ text = \"<a>\" }, { text = \"<b>\" }]"),
    (
        "three",
        "steps = [{ text = \"<a>\" }, { text = \"<b>\" }, { text = \"<a>\" }]",
    ),
    (
        "near",
        "steps = [{ text = \"<a>\" }, { text = \"<b>\", within = \"8B\" }]",
    ),
    ("without", "text = \"<b>\"\nwithout = { text = \"<a>\" }"),
    ("never", "text = \"<a>\"\nwithout = { text = \"<b>\", until = \"end\" }"),
    ("single", "text = \"<b>\""),
    ("refers", "steps = [{ text = \"<a>\" }, { rule = \"single\" }]"),
    (
        "across",
        "steps = [{ text = \"<a>\" }, { text = \"<s>\", sources = [\"ssh\"] }]",
    ),
    (
        "explains",
        "steps = [{ text = \"<a>\" }, { text = \"no-marker\", sources = [\"cause\"] }]",
    ),
];

#[test]
fn each_shape_finds_what_it_says() {
    let rules = rules(&SHAPES);
    let mut bench = Bench::new(&rules, Instant::now()).unwrap();
    for (lines, expected) in [
        ("<b>", &["without", "single"][..]),
        ("<a>", &["never"]),
        ("<a>\n<b>", &["then", "near", "single", "refers"]),
        // A step has a line of its own.
        ("<a><b>", &["single"]),
        ("<a>\n...........\n<b>", &["then", "single", "refers"]),
        // The last one counts that is near enough.
        ("<a>\n...........\n<a>\n<b>", &["then", "near", "single", "refers"]),
        // It stands in one line with the first step of the next sequence, which takes nothing away.
        ("<a>\n<b><a>", &["then", "near", "single", "refers"]),
        ("<a>\n<b>\n<a>", &["then", "near", "single", "refers", "three"]),
        ("<b>\n<a>", &["without", "single"]),
        ("@ssh <s>\n<a>", &["never"]),
        ("<a>\n@ssh <s>", &["across", "never"]),
        ("<a>\n@cause no-marker", &["never", "explains"]),
        ("@cause no-marker", &[]),
        ("<a>\n@cause no-marker-at-all", &["never"]),
        ("@ssh <a>", &[]),
    ] {
        let found = bench.try_on(lines.as_bytes(), Source::Serial);
        assert_eq!(ids(&rules, &found), expected, "{lines:?}");
    }
}

#[test]
fn a_finding_tells_where_each_step_stood() {
    let rules = rules(&SHAPES[..1]);
    let mut bench = Bench::new(&rules, Instant::now()).unwrap();
    let found = bench.try_on(b"one <a>\ntwo\nthree <b>\n", Source::Serial);
    let places: Vec<_> = found[0]
        .places
        .iter()
        .map(|place| (place.line_offset, place.quote.clone()))
        .collect();
    let text = |text: &str| bootgate::text::Untrusted::new(text);
    assert_eq!(places, [(0, text("one <a>")), (12, text("three <b>"))]);
}

#[test]
fn prospects_come_and_go() {
    let rules = rules(&SHAPES);
    let mut correlator = Correlator::new(rules.clone());
    let mut scan = LogScan::new(&rules, &[Source::Serial], "serial.log").unwrap();
    let mut found = Vec::new();
    assert!(correlator.take_changed() && !correlator.take_changed());
    scan.feed(b"<a>\n", Instant::now(), &mut correlator, &mut found);
    assert!(correlator.take_changed());
    let prospects = correlator.prospects(&["boot-timeout", "no-marker"]);
    assert_eq!(ids(&rules, &prospects.at_end), ["never"]);
    let [(cause, finding)] = &prospects.of_causes[..] else {
        panic!("{prospects:?}")
    };
    assert_eq!(
        (cause.as_str(), &ids(&rules, std::slice::from_ref(finding))[0][..]),
        ("no-marker", "explains")
    );
    scan.feed(b"<a>\n<a>\n", Instant::now(), &mut correlator, &mut found);
    assert!(!correlator.take_changed(), "more of the same changes nothing");
    scan.feed(b"<b>\n", Instant::now(), &mut correlator, &mut found);
    assert!(correlator.take_changed());
    assert_eq!(correlator.prospects(&[]).at_end, []);
    correlator.begin_stage();
    assert_eq!(
        correlator.prospects(&["no-marker"]),
        bootgate::triage::Prospects::default()
    );
}

/// Lines that rules know, and others.
fn lines() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["<a>", "<b>", "x<a>y", "<b> <a>"]), 0..12)
}

fn noise() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[ -;=?-~]{0,20}", 0..20)
}

fn scanned(rules: &Arc<Rules>, bytes: &[u8], cuts: &[usize]) -> Vec<(String, Vec<u64>)> {
    let mut correlator = Correlator::new(rules.clone());
    let mut scan = LogScan::new(rules, &[Source::Serial], "serial.log").unwrap();
    let (mut found, now, mut from) = (Vec::new(), Instant::now(), 0);
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        let to = cut.clamp(from, bytes.len());
        scan.feed(&bytes[from..to], now, &mut correlator, &mut found);
        from = to;
    }
    scan.finish(&mut correlator, &mut found);
    found.extend(correlator.end(Some("no-marker")));
    let offsets = |finding: &bootgate::triage::Finding| finding.places.iter().map(|place| place.line_offset).collect();
    found
        .iter()
        .map(|finding| (rules.rule(finding.rule).id.clone(), offsets(finding)))
        .collect()
}

proptest! {
    #[test]
    fn how_a_log_is_cut_makes_no_difference(lines in lines(), cuts in prop::collection::vec(0usize..80, 0..8)) {
        let rules = rules(&SHAPES);
        let text = lines.join("\r\n");
        let mut cuts = cuts;
        cuts.sort_unstable();
        prop_assert_eq!(scanned(&rules, text.as_bytes(), &cuts), scanned(&rules, text.as_bytes(), &[]));
    }

    #[test]
    fn lines_that_no_rule_knows_make_no_difference(lines in lines(), noise in noise(), at in any::<prop::sample::Index>()) {
        // Of the shapes, `near` alone counts what stands between.
        let shapes: Vec<_> = SHAPES.into_iter().filter(|(id, _)| *id != "near").collect();
        let rules = rules(&shapes);
        let at = at.index(lines.len() + 1);
        let noisy: Vec<_> = lines[..at].iter().map(|line| (*line).to_owned())
            .chain(noise.iter().cloned())
            .chain(lines[at..].iter().map(|line| (*line).to_owned()))
            .collect();
        let names = |text: String| -> Vec<String> {
            scanned(&rules, text.as_bytes(), &[]).into_iter().map(|(id, _)| id).collect()
        };
        prop_assert_eq!(names(noisy.join("\n")), names(lines.join("\n")));
    }

    #[test]
    fn what_is_kept_is_bounded(lines in prop::collection::vec(prop::sample::select(vec!["<a>", "<b>"]), 200..400)) {
        let rules = rules(&SHAPES);
        let mut correlator = Correlator::new(rules.clone());
        let mut scan = LogScan::new(&rules, &[Source::Serial], "serial.log").unwrap();
        let mut found = Vec::new();
        for line in lines {
            scan.feed(format!("{line}\n").as_bytes(), Instant::now(), &mut correlator, &mut found);
        }
        let kept = format!("{correlator:?}").matches("line_offset").count();
        // For each step the last places and those before, each with the places of the steps before it.
        prop_assert!(kept <= SHAPES.len() * 2 * (1 + 2 + 3), "{kept} places are kept");
        prop_assert!(found.len() <= SHAPES.len(), "each rule is found once in a stage");
    }
}
