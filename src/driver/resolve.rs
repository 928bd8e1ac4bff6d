//! What a gate file names must be there before anything is started: the image, the uploads, the secrets.

use std::path::{Path, PathBuf};

use crate::plan::{ImageSource, Plan, StageKind};

use super::secrets::Secrets;

/// A plan whose inputs are all there.
pub struct Resolved {
    /// Its secrets.
    pub secrets: Secrets,
}

/// Something that the gate file names and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingInput {
    /// What is wrong, as a sentence without an end.
    pub problem: String,
    /// What to do about it.
    pub mend: String,
}

/// Looks for everything that the plan names; with `only_stage`, for what that stage needs. The image of a stage that is not
/// the first is looked for by its digest, when that is known. Gives all mistakes at once.
pub fn resolve(plan: &Plan, only_stage: Option<usize>) -> Result<Resolved, Vec<MissingInput>> {
    let mut missing = Vec::new();
    for (what, path) in inputs(plan, only_stage) {
        if let Err(problem) = readable(&path) {
            missing.push(MissingInput {
                problem: format!("{what} `{}` {problem}", path.display()),
                mend: format!("check the path in {}; it is relative to that file", plan.file.display()),
            });
        }
    }
    let secrets = Secrets::read(plan).unwrap_or_else(|mistakes| {
        missing.extend(mistakes.into_iter().map(|problem| MissingInput {
            problem,
            mend: format!("set it, or change {}", plan.file.display()),
        }));
        Secrets::default()
    });
    if missing.is_empty() {
        Ok(Resolved { secrets })
    } else {
        Err(missing)
    }
}

fn inputs(plan: &Plan, only_stage: Option<usize>) -> Vec<(&'static str, PathBuf)> {
    let mut inputs = match &plan.image.source {
        _ if only_stage.is_some_and(|stage| stage > 0) => Vec::new(),
        ImageSource::Iso(path) | ImageSource::Disk { path, .. } => vec![("the image", path.clone())],
        ImageSource::Kernel { kernel, initrd, .. } => {
            let mut files = vec![("the kernel", kernel.clone())];
            files.extend(initrd.iter().map(|path| ("the initial RAM disk", path.clone())));
            files
        }
    };
    // Only the first stage reads it.
    let production = plan
        .image
        .production
        .iter()
        .filter(|_| only_stage.is_none_or(|only| only == 0));
    inputs.extend(production.map(|path| ("the production image", path.clone())));
    let is_meant = |index: &usize| only_stage.is_none_or(|only| only == *index);
    let stages = plan.stages.iter().enumerate().filter(|(index, _)| is_meant(index));
    for (_, stage) in stages {
        if let StageKind::Command { uploads, .. } = &stage.kind {
            inputs.extend(uploads.iter().map(|upload| ("the file to upload", upload.from.clone())));
        }
    }
    inputs
}

fn readable(path: &Path) -> Result<(), String> {
    let file = std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        _ => format!("can't be read: {error}"),
    })?;
    match file.metadata() {
        Ok(metadata) if metadata.is_dir() => Err("is a directory".to_owned()),
        Ok(metadata) if metadata.is_file() && metadata.len() == 0 => Err("is empty".to_owned()),
        _ => Ok(()),
    }
}
