//! Which image was tested, how it was had to let us in, and which one may be published.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::driver::{ImageRelation, Outcome};
use crate::plan::{ImageSource, OpenBy, Plan};
use crate::text::terminal_line;

/// How much of a path is shown, in characters.
const CHARS_MAX: usize = 300;

fn relation(outcome: &Outcome) -> Option<&ImageRelation> {
    outcome.host.as_ref()?.images.as_ref()
}

fn open_by(plan: &Plan) -> Option<&OpenBy> {
    plan.ssh.as_ref()?.open_by.as_ref()
}

/// The `image` of `result.json`. `tested_sha256` is the digest that was read beside the run.
pub(super) fn image_json(plan: &Plan, outcome: &Outcome, tested_sha256: Option<&String>) -> Value {
    let relation = relation(outcome);
    let sha256 = tested_sha256.or(relation.map(|relation| &relation.tested_sha256));
    let mut image = json!({
        "source": crate::plan::to_json(plan).get("image").cloned(),
        "sha256": sha256,
    });
    if let Some(relation) = relation {
        let made_from = relation.made_from.as_ref();
        let (path, digest) = match (&relation.production, made_from) {
            (Some((path, digest)), _) => (Some(path.to_string_lossy()), Some(digest)),
            (None, made_from) => (None, made_from.map(|made| &made.production_sha256)),
        };
        image["production"] = json!({ "path": path, "sha256": digest });
        image["made_from_production"] = made_from.is_some().into();
        image["changes"] = json!(made_from.map(|made| &made.changes));
    }
    if let Some(open_by) = open_by(plan) {
        image["access"] = json!({ "by": open_by.as_str(), "user": console_user(open_by) });
    }
    image
}

fn console_user(open_by: &OpenBy) -> &str {
    match open_by {
        OpenBy::SerialLogin(login) => &login.user,
        OpenBy::Credentials(_) => "root",
    }
}

/// Lines that say which image was tested and which may be published, where that is not plain.
pub(super) fn image_lines(text: &mut String, plan: &Plan, outcome: &Outcome) {
    let shown = |path: &std::path::Path| terminal_line(path.to_string_lossy().as_bytes(), CHARS_MAX);
    let path = match &plan.image.source {
        ImageSource::Iso(path) | ImageSource::Disk { path, .. } | ImageSource::Kernel { kernel: path, .. } => path,
    };
    if let Some(relation) = relation(outcome) {
        let _ = writeln!(text, "Tested:   {}, sha256 {}", shown(path), relation.tested_sha256);
        let relation_told = match &relation.made_from {
            Some(made) => {
                let count = made.changes.len();
                format!(
                    "a debug image made from production sha256 {}, {count} changes",
                    made.production_sha256
                )
            }
            None => "another image than the one to publish; no record says what it is made from".to_owned(),
        };
        let _ = writeln!(text, "          {relation_told}");
        let publish = match &relation.production {
            Some((path, sha256)) => format!("{}, sha256 {sha256}", shown(path)),
            None => "not this image, which is a debug image".to_owned(),
        };
        let _ = writeln!(text, "Release:  {publish}");
    } else if let Some(open_by) = open_by(plan) {
        let by = match open_by {
            OpenBy::SerialLogin(login) => format!("serial login as {}", terminal_line(&login.user, CHARS_MAX)),
            OpenBy::Credentials(_) => "systemd credentials".to_owned(),
        };
        let _ = writeln!(text, "Tested:   the production image itself, access by {by}");
    }
}
