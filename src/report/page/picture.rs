//! A picture on the page.

/// A picture on the page.
#[derive(Debug, Clone)]
pub struct PagePicture {
    /// The file's name in the run.
    pub name: String,
    /// The PNG.
    pub png: Vec<u8>,
    /// The text that was on the screen, if it was read.
    pub text: Option<String>,
}
