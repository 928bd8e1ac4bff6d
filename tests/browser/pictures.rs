//! Pictures of a page, for the README: `.github/pictures/page.sh` asks for them.

use std::path::PathBuf;

use crate::chromium::Chromium;

/// The page to be shown, a file.
const PAGE: &str = "BOOTGATE_PAGE";
/// The folder that the pictures go to.
const PICTURES: &str = "BOOTGATE_PICTURES";

#[test]
fn pictures_of_a_page() {
    let (Some(page), Some(folder)) = (std::env::var_os(PAGE), std::env::var_os(PICTURES)) else {
        println!("no pictures are wanted: {PAGE} and {PICTURES} are not set");
        return;
    };
    let (page, folder) = (PathBuf::from(page), PathBuf::from(folder));
    let mut browser = Chromium::start();
    for (name, scheme, width, height) in [
        ("page-light", "light", 1200, 1000),
        ("page-dark", "dark", 1200, 1000),
        ("page-narrow", "light", 390, 1000),
    ] {
        browser.look(scheme, width, height);
        browser.open(&page, "");
        let picture = browser.picture();
        std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }
    browser.look("dark", 1200, 760);
    browser.open(&page, "");
    browser.value("document.querySelector('#screens').scrollIntoView()");
    std::fs::write(folder.join("page-screens.png"), browser.picture()).unwrap();
}
