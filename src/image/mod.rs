//! Images of live systems: what lies in them, a debug image of a production image, and whether an image may be published.

mod accounts;
mod boot_config;
mod changes;
mod compare;
mod debug;
mod error;
mod finding;
mod iso;
mod listing;
mod rebuild;
mod record;
mod rewrite;
mod squashfs;
mod sshd;
mod system;
mod tool;
mod traces;
mod units;
mod verify;

pub use accounts::AllowedEmpty;
pub use changes::DebugLogin;
pub use debug::{DebugMade, DebugRequest, debug_iso};
pub use error::ImageError;
pub use finding::{Check, Finding};
pub use record::{ChangeFacts, DebugRecord, ImageFacts, LoginFacts, RecordError};
pub use traces::Forbidden;
pub use verify::{LookedAt, Verification, VerifyOptions, verify};
