//! The page of a run in a real browser: nothing wrong in its console, nothing asked of anybody, accessible in every form, usable by
//! keyboard, and fast with a console of ten megabytes.

#[path = "../support/chromium.rs"]
mod chromium;
mod page;
mod pictures;

use std::path::{Path, PathBuf};
use std::process::Command;

use chromium::Chromium;
use page::Page;

/// How a page is looked at: colour scheme, width and height in pixels.
const LOOKS: [(&str, u32, u32); 3] = [("light", 1280, 900), ("dark", 1280, 900), ("light", 360, 740)];

/// The script that judges accessibility: axe-core.
fn axe() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/axe.sh");
    let output = Command::new(script).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "run .ci/install-deps for this test: {told}");
    let path = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end());
    std::fs::read_to_string(path).unwrap()
}

/// What axe finds wrong, as lines.
fn violations(browser: &mut Chromium) -> Vec<String> {
    let found = browser.value(
        "axe.run(document, { resultTypes: ['violations'] }).then((told) => told.violations.flatMap((rule) => \
         rule.nodes.map((node) => rule.id + ': ' + node.html.slice(0, 200) + ' ' + node.failureSummary)))",
    );
    let lines = found.as_array().unwrap().iter();
    lines.map(|line| line.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_form_is_accessible_and_asks_nobody_for_anything() {
    let (axe, mut browser) = (axe(), Chromium::start());
    let pages = [
        Page::of_everything(),
        Page::recorded("kernel-panic-under-the-installer"),
    ];
    for page in pages {
        for (scheme, width, height) in LOOKS {
            browser.look(scheme, width, height);
            browser.open(&page.path(), "");
            assert_eq!(browser.complaints(), [""; 0], "{scheme} {width}");
            // What is folded is judged, too.
            browser.value("document.querySelectorAll('details').forEach((folded) => { folded.open = true; })");
            browser.value(&axe);
            assert_eq!(violations(&mut browser), [""; 0], "{scheme} {width}");
            // Whether it would see something.
            browser.value("document.documentElement.removeAttribute('lang')");
            assert_eq!(violations(&mut browser).len(), 1, "axe sees nothing");
            let wider = browser.value("document.documentElement.scrollWidth - innerWidth");
            assert_eq!(wider, 0, "{width} pixels: the page is wider than its window");
        }
        let dark = "matchMedia('(prefers-color-scheme: dark)').matches";
        browser.look("dark", 1280, 900);
        let back = "getComputedStyle(document.body).backgroundColor";
        assert_eq!(
            (browser.value(dark).as_bool(), browser.value(back).as_str()),
            (Some(true), Some("rgb(13, 17, 23)"))
        );
    }
}

#[test]
fn the_keyboard_is_enough() {
    let (page, mut browser) = (Page::of_everything(), Chromium::start());
    browser.look("light", 1280, 900);
    browser.open(&page.path(), "");
    let focused = "document.activeElement.outerHTML.slice(0, 60)";
    // The first stop leads past the list of parts.
    browser.press("Tab");
    assert!(browser.value(focused).as_str().unwrap().contains("#verdict"));
    // Everything that acts is reached in the order in which it stands.
    let in_order = browser.value(
        "(() => { const stops = [...document.querySelectorAll('a[href], button, input, summary, [tabindex=\"0\"]')]; \
         return stops.length > 20 && stops.every((stop) => stop.tabIndex === 0); })()",
    );
    assert_eq!(in_order, true);
    // A link from the verdict leads to its line, and the keyboard goes on from there.
    browser.value("document.querySelector('#verdict dd a').focus()");
    browser.press("Enter");
    let here = "document.querySelector('.line.here') ? document.querySelector('.line.here').textContent : ''";
    let line = browser.value(here);
    assert!(line.as_str().unwrap().contains("Kernel panic"), "{line}");
    assert_eq!(browser.value("document.activeElement.className"), "lines");
    let seen = "(() => { const line = document.querySelector('.line.here').getBoundingClientRect(); \
                const box = document.activeElement.getBoundingClientRect(); \
                return line.top >= box.top && line.bottom <= box.bottom; })()";
    assert_eq!(browser.value(seen), true);
    // `/` leads to the search of the same log.
    browser.press("/");
    assert_eq!(browser.value("document.activeElement.type"), "search");
    browser.type_text("needle");
    // It is found while it is typed.
    browser.value(
        "new Promise((kept) => { const told = document.activeElement.parentElement.querySelector('output'); \
         const look = () => { if (told.textContent === '1 of 3 lines') kept(true); }; \
         new MutationObserver(look).observe(told, { childList: true, characterData: true, subtree: true }); look(); })",
    );
    let told = "document.activeElement.parentElement.querySelector('output').textContent";
    browser.press("Enter");
    assert_eq!(browser.value(told), "2 of 3 lines");
    browser.press_with("Enter", 8);
    assert_eq!(browser.value(told), "1 of 3 lines");
    assert_eq!(
        browser.value("document.querySelector('.line.here mark').textContent"),
        "needle"
    );
    browser.press("Escape");
    assert_eq!(browser.value("document.activeElement.value"), "");
    // A screen grows and shrinks.
    browser.value("document.querySelector('.zoom').focus()");
    for pressed in ["true", "false"] {
        browser.press("Enter");
        let state = "[document.activeElement.ariaPressed, String(!!document.querySelector('figure.large'))]";
        assert_eq!(browser.value(state), serde_json::json!([pressed, pressed]));
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn every_finding_leads_to_its_line() {
    let (page, mut browser) = (Page::of_everything(), Chromium::start());
    browser.look("light", 1280, 900);
    browser.open(&page.path(), "");
    let links =
        browser.value("[...document.querySelectorAll('a[href*=\":\"]')].map((link) => link.getAttribute('href'))");
    let links: Vec<_> = links
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|link| link.as_str())
        .map(str::to_owned)
        .collect();
    assert!(links.len() > 5, "{links:?}");
    for link in links {
        let (log, line) = link.trim_start_matches('#').split_once(':').unwrap();
        browser.value(&format!("document.querySelector('a[href=\"{link}\"]').click()"));
        // The address changes first, and the page follows with an event.
        let shown = format!(
            "new Promise((told) => setTimeout(() => told(document.querySelector('#{log} .line.here .number')?.textContent), 0))"
        );
        assert_eq!(browser.value(&shown), line, "{link}");
    }
    // So does an address that somebody was sent.
    browser.open(&page.path(), "#log-0:2");
    assert_eq!(
        browser.value("document.querySelector('.line.here .number').textContent"),
        "2"
    );
    // What is folded away opens for it.
    let folded = "[...document.querySelectorAll('.log')].find((log) => log.querySelector('details')).id";
    let folded = browser.value(folded);
    let folded = folded.as_str().unwrap();
    browser.open(&page.path(), &format!("#{folded}:3"));
    assert_eq!(
        browser.value(&format!("document.querySelector('#{folded} details').open")),
        true
    );
    assert_eq!(
        browser.value(&format!(
            "document.querySelector('#{folded} .here .number').textContent"
        )),
        "3"
    );
}

#[test]
fn hostile_text_stays_text() {
    let (page, mut browser) = (Page::hostile(), Chromium::start());
    browser.look("light", 1280, 900);
    browser.open(&page.path(), "");
    let ours = browser.value("document.querySelectorAll('script').length");
    assert_eq!(
        ours, 1,
        "the data of the logs is taken in, and only the page's own script is left"
    );
    assert_eq!(
        browser.value("document.querySelectorAll('img, iframe, object, embed').length"),
        0
    );
    assert_eq!(browser.value("typeof owned"), "undefined");
    assert!(
        browser
            .value("document.title")
            .as_str()
            .unwrap()
            .starts_with("failed: ")
    );
    let lines = browser.value("document.querySelector('.lines').textContent");
    assert!(lines.as_str().unwrap().contains("<script>owned=1</script>"), "{lines}");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn ten_megabytes_open_at_once() {
    const CONSOLE_BYTES: usize = 10 * 1024 * 1024;
    const WITHIN_MS: f64 = 1000.0;
    let (page, mut browser) = (Page::with_console(CONSOLE_BYTES), Chromium::start());
    browser.look("light", 1280, 900);
    let mut times = Vec::new();
    for _ in 0..3 {
        browser.open(&page.path(), "");
        // The logs answer from then on, in milliseconds since the navigation began.
        let ready = browser
            .value("Number(document.documentElement.dataset.ready)")
            .as_f64()
            .unwrap();
        let drawn = browser.value("document.querySelectorAll('.line').length");
        assert!((1..200).contains(&drawn.as_u64().unwrap()), "{drawn} lines are drawn");
        times.push(ready);
    }
    times.sort_by(f64::total_cmp);
    println!("a console of {CONSOLE_BYTES} bytes is interactive after {times:?} ms");
    let searched = browser.value(
        "(() => { const field = document.querySelector('input[type=search]'); field.value = 'the last line'; \
         const began = performance.now(); \
         field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true })); \
         return [performance.now() - began, field.parentElement.querySelector('output').textContent]; })()",
    );
    println!("and searched in {:.0} ms", searched[0].as_f64().unwrap());
    assert_eq!(searched[1], "1 of 1 line");
    let best = times[0];
    assert!(best < WITHIN_MS, "the best of {times:?} ms");
}

#[test]
fn on_paper_it_is_whole() {
    let (page, mut browser) = (Page::of_everything(), Chromium::start());
    browser.open(&page.path(), "");
    let printed = browser.call("Page.printToPDF", &serde_json::json!({ "printBackground": true }));
    assert!(printed["data"].as_str().unwrap().len() > 20_000);
    browser.value("dispatchEvent(new Event('beforeprint'))");
    let lines = browser.value("document.querySelector('.lines.printed').textContent");
    assert!(
        lines.as_str().unwrap().contains("Kernel panic"),
        "the line that counts is on paper"
    );
    browser.value("dispatchEvent(new Event('afterprint'))");
    assert_eq!(browser.value("document.querySelectorAll('.printed').length"), 0);
    assert_eq!(browser.complaints(), [""; 0]);
}
