//! The text on a guest's screen, read from a picture of it. Pure.
//!
//! What a machine draws in character cells can be read exactly: VGA text mode and the kernel's framebuffer console draw a
//! character always as the same pixels. So a cell is looked up, not recognised; what is in none of
//! the fonts that were measured stays unread, and a picture gives no text. Two things are not seen: blanks at a line's end, and what a
//! graphical splash draws.
//!
//! Why the picture and not VGA's text memory: a framebuffer console has none, and one way serves both.

mod follow;
mod font;
mod page;
mod picture;

pub use follow::Follower;
pub use page::{COLUMNS_MAX, Page, READABLE_MIN, ROWS_MAX, read};
pub use picture::{PPM_BYTES_MAX, Picture, PictureError, SIDE_PIXELS_MAX};
