//! The image under test and the image that may be published, if that is another one.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::image::DebugRecord;
use crate::machine::Cause;
use crate::plan::Plan;
use crate::qemu::disk::{self, Digest};

use super::host::image_path;
use super::prepare::{PrepareError, Workshop};

/// How the image under test and the image that may be published belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRelation {
    /// SHA-256 of the image under test.
    pub tested_sha256: String,
    /// The image that may be published, if the gate names it, and its SHA-256.
    pub production: Option<(PathBuf, String)>,
    /// What the record beside the image under test says. `None`: there is no record, so nobody knows of what it is made.
    pub made_from: Option<MadeFrom>,
}

/// What a debug image is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeFrom {
    /// SHA-256 of the production image.
    pub production_sha256: String,
    /// What was changed, as `PATH: WHAT`.
    pub changes: Vec<String>,
}

impl Workshop {
    /// Holds the images of the gate against each other. `None`: the image under test is the one that may be published, as
    /// far as anybody says.
    pub(super) async fn relate_images(&self) -> Result<Option<ImageRelation>, PrepareError> {
        let plan = self.plan.clone();
        let related = tokio::task::spawn_blocking(move || relate(&plan)).await;
        related.map_err(|error| PrepareError::new(Cause::Internal, error))?
    }
}

fn relate(plan: &Plan) -> Result<Option<ImageRelation>, PrepareError> {
    let Some(image) = image_path(plan) else { return Ok(None) };
    let wrong = |error: crate::image::RecordError| PrepareError::new(Cause::DebugRecordMismatch, error);
    let record = DebugRecord::of(image).map_err(wrong)?;
    if record.is_none() && plan.image.production.is_none() {
        return Ok(None);
    }
    let tested = digest(image)?;
    let named = plan.image.production.as_deref();
    let production = match named {
        Some(path) => Some((path.to_owned(), digest(path)?)),
        None => None,
    };
    if let Some(record) = &record {
        // Without a production image, the record can be held against the image under test alone.
        let against = production
            .as_ref()
            .map_or((image, record.production.sha256), |(path, sha256)| (path, *sha256));
        record.check(against, (image, tested)).map_err(wrong)?;
    }
    Ok(Some(ImageRelation {
        tested_sha256: tested.to_string(),
        production: production.map(|(path, sha256)| (path, sha256.to_string())),
        made_from: record.map(|record| MadeFrom {
            production_sha256: record.production.sha256.to_string(),
            changes: record
                .changes
                .iter()
                .map(|change| format!("{}: {}", change.path, change.what))
                .collect(),
        }),
    }))
}

fn digest(path: &Path) -> Result<Digest, PrepareError> {
    let digest = disk::digest(path, |_| ControlFlow::Continue(()));
    digest.map_err(|error| PrepareError::new(Cause::Preflight, format!("{}: {error}", path.display())))
}
