//! A debug image of a production image: the same but for an SSH server that starts and one login for it.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::UNIX_EPOCH;

use crate::evidence::write_atomically;
use crate::plan::Secret;
use crate::qemu::disk::{Digest, digest, free_bytes};

use super::changes::{self, Change, ChangeTo, DebugLogin};
use super::compare::compare;
use super::error::ImageError;
use super::iso::{Iso, IsoFile};
use super::rebuild;
use super::record::{ChangeFacts, DebugRecord, ImageFacts, LoginFacts, RECORD_VERSION, beside};
use super::rewrite::{Rewritten, rewrite};
use super::squashfs::Squashfs;
use super::system::System;
use super::tool::{SQFS2TAR, TAR2SQFS, Tool, UNSQUASHFS, XORRISO};
use super::verify::nested;

/// The roots of live systems, by the tools that make them: live-boot, dracut, casper, archiso.
pub(super) const ROOTS: [&str; 4] = [
    "/live/filesystem.squashfs",
    "/LiveOS/squashfs.img",
    "/casper/filesystem.squashfs",
    "/arch/x86_64/airootfs.sfs",
];
/// How many times as large as before a squashfs may become with quicker compression.
const GROWTH_MAX: u64 = 3;
/// How it is compressed: a debug image is made often and read once.
const COMPRESSION: [&str; 4] = ["-c", "zstd", "-X", "level=1"];

/// What is asked for.
#[derive(Debug, Clone)]
pub struct DebugRequest {
    /// The production image.
    pub production: PathBuf,
    /// Where the debug image goes.
    pub output: PathBuf,
    /// The squashfs of the system, by its path in the image. `None`: the one that is known, or the only one.
    pub squashfs: Option<String>,
    /// Who logs in.
    pub user: String,
    /// How.
    pub login: DebugLogin,
    /// What is written beside the image for who logs in: the word behind its name, and the content.
    pub keep: Option<(&'static str, Secret)>,
    /// Replace what is there.
    pub force: bool,
    /// A directory that is not there yet, on the same file system as the output. It is removed in the end.
    pub work: PathBuf,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugMade {
    /// The debug image.
    pub image: PathBuf,
    /// The record beside it.
    pub record_path: PathBuf,
    /// What the record says.
    pub record: DebugRecord,
    /// The file with the private key or the password.
    pub login_file: Option<PathBuf>,
}

/// The directory of unfinished files, gone whatever happens.
struct Work<'a>(&'a Path);

impl Drop for Work<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0);
    }
}

/// Makes a debug image. `say` is told what is being done.
pub fn debug_iso(request: &DebugRequest, say: &mut dyn FnMut(&str)) -> Result<DebugMade, ImageError> {
    let (output, record_path) = (&request.output, DebugRecord::place(&request.output));
    let login_file = request.keep.as_ref().map(|(word, _)| beside(output, word));
    check_places(request, &[Some(output), Some(&record_path), login_file.as_ref()])?;
    let tools = [XORRISO, UNSQUASHFS, SQFS2TAR, TAR2SQFS];
    let tools = tools.map(Tool::version).into_iter().collect::<Result<Vec<_>, _>>()?;
    say("reading the production image");
    let iso = Iso::open(&request.production)?;
    let file = root_of(&iso, request)?.clone();
    let squashfs = Squashfs::of(&iso, &file)?;
    let system = System::read(&squashfs)?;
    if let Some(inside) = nested(&system) {
        let squashfs = file.path;
        return Err(ImageError::NestedImage { squashfs, inside });
    }
    let production = facts(&request.production)?;
    let origin = format!("{}, sha256 {}", production.file, production.sha256);
    let (changes, server) = changes::plan(&system, &request.user, &request.login, &origin)?;
    check_space(request, &iso, &squashfs, &system)?;
    let mut directory = std::fs::DirBuilder::new();
    let made = directory.mode(0o700).create(&request.work);
    made.map_err(ImageError::io("can't make the directory", &request.work))?;
    let work = Work(&request.work);
    say("repacking the squashfs with the changes");
    let (new_squashfs, after) = repack(&iso, &file, &changes, work.0)?;
    let entries_kept = compare(&system.tree, &after, &changes)?;
    say("rebuilding the image around it");
    let new_iso = work.0.join("debug.iso");
    let notes = rebuild::rebuild(&iso, &file, &new_squashfs, &new_iso)?;
    let rebuilt = Iso::open(&new_iso)?;
    rebuild::check(&iso, &rebuilt, &file, &new_squashfs)?;
    let mut debug = facts(&new_iso)?;
    debug.file = name_of(output);
    let record = DebugRecord {
        version: RECORD_VERSION,
        made_by: format!("bootgate {}", env!("CARGO_PKG_VERSION")),
        made: jiff::Timestamp::now().to_string(),
        production,
        debug,
        squashfs: file.path,
        server,
        login: LoginFacts {
            user: request.user.clone(),
            by: match &request.login {
                DebugLogin::Key(_) => "key".to_owned(),
                DebugLogin::PasswordHash(_) => "password".to_owned(),
            },
            file: login_file.as_deref().map(name_of),
        },
        changes: changes.iter().map(change_facts).collect(),
        entries_kept,
        notes,
        tools,
    };
    publish(request, &record, login_file.as_deref(), &new_iso)?;
    let image = output.clone();
    Ok(DebugMade {
        image,
        record_path,
        record,
        login_file,
    })
}

/// The image takes its name last: who finds it finds its record and its key, too.
fn publish(
    request: &DebugRequest,
    record: &DebugRecord,
    login_file: Option<&Path>,
    new_iso: &Path,
) -> Result<(), ImageError> {
    let write = "can't write";
    if let (Some(path), Some((_, secret))) = (login_file, &request.keep) {
        write_atomically(path, secret.expose().as_bytes()).map_err(ImageError::io(write, path))?;
    }
    let record_path = DebugRecord::place(&request.output);
    record
        .write(&record_path)
        .map_err(ImageError::io(write, &record_path))?;
    let synced = File::open(new_iso).and_then(|file| file.sync_all());
    synced.map_err(ImageError::io(write, new_iso))?;
    std::fs::rename(new_iso, &request.output).map_err(ImageError::io(write, &request.output))
}

fn check_places(request: &DebugRequest, places: &[Option<&PathBuf>]) -> Result<(), ImageError> {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    if real(&request.output).is_some_and(|output| Some(output) == real(&request.production)) {
        return Err(ImageError::SameFile(request.production.clone()));
    }
    let mut there = places.iter().flatten().filter(|path| path.symlink_metadata().is_ok());
    match there.next() {
        Some(path) if !request.force => Err(ImageError::Exists((*path).clone())),
        _ => Ok(()),
    }
}

/// The squashfs that holds the system.
fn root_of<'a>(iso: &'a Iso, request: &DebugRequest) -> Result<&'a IsoFile, ImageError> {
    let path = request.production.clone();
    let all = iso.squashfs_files();
    let names = || all.iter().map(|file| file.path.as_str()).collect::<Vec<_>>().join(", ");
    if all.is_empty() {
        let files = iso.files().len();
        return Err(ImageError::NoSquashfs { path, files });
    }
    if let Some(wanted) = &request.squashfs {
        let wanted = format!("/{}", wanted.trim_start_matches('/'));
        let found = all.iter().find(|file| file.path == wanted).copied();
        return found.ok_or_else(|| ImageError::NotThisSquashfs {
            path,
            wanted,
            there: names(),
        });
    }
    let known = ROOTS.iter().find_map(|root| all.iter().find(|file| file.path == *root));
    match (known, all.as_slice()) {
        (Some(file), _) | (None, [file]) => Ok(file),
        (None, _) => Err(ImageError::SeveralSquashfs { path, there: names() }),
    }
}

/// Room for a copy of the squashfs, the new one, and the new image.
fn check_space(request: &DebugRequest, iso: &Iso, squashfs: &Squashfs, system: &System) -> Result<(), ImageError> {
    let grown = system.tree.bytes().min(squashfs.size_bytes.saturating_mul(GROWTH_MAX));
    let grown = grown.max(squashfs.size_bytes);
    let around = iso.size_bytes().saturating_sub(squashfs.size_bytes);
    let needed_bytes = squashfs
        .size_bytes
        .saturating_add(around)
        .saturating_add(grown.saturating_mul(2));
    let place = directory_of(&request.output).to_owned();
    let free_bytes = free_bytes(&place).map_err(ImageError::io("can't measure the space in", &place))?;
    if free_bytes >= needed_bytes {
        return Ok(());
    }
    Err(ImageError::Space {
        place,
        free_bytes,
        needed_bytes,
    })
}

fn directory_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// The squashfs anew, with its file and its listing.
fn repack(
    iso: &Iso,
    file: &IsoFile,
    changes: &[Change],
    work: &Path,
) -> Result<(PathBuf, super::listing::Tree), ImageError> {
    let (old, new) = (work.join("production.squashfs"), work.join("debug.squashfs"));
    copy_out(iso, file, &old).map_err(ImageError::io("can't write", &old))?;
    let rewritten = pipe(&old, &new, changes, work)?;
    std::fs::remove_file(&old).map_err(ImageError::io("can't remove", &old))?;
    if rewritten.done.is_empty() {
        return Err(ImageError::PatchedNothing);
    }
    if let Some(change) = changes.iter().find(|change| !rewritten.done.contains(&change.path)) {
        let what = format!(
            "`{}` was not changed: it is not in the archive of the squashfs",
            change.path
        );
        return Err(ImageError::NotAsPlanned(what));
    }
    let size_bytes = new.metadata().map_err(ImageError::io("can't read", &new))?.len();
    let after = Squashfs::alone(new.clone(), size_bytes).tree()?;
    Ok((new, after))
}

fn copy_out(iso: &Iso, file: &IsoFile, to: &Path) -> io::Result<()> {
    let mut from = File::open(&iso.path)?;
    let mut to = File::create_new(to)?;
    for extent in &file.extents {
        from.seek(SeekFrom::Start(extent.offset_bytes))?;
        let copied = io::copy(&mut io::Read::take(&mut from, extent.size_bytes), &mut to)?;
        if copied != extent.size_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Runs the archive through the changes.
fn pipe(old: &Path, new: &Path, changes: &[Change], work: &Path) -> Result<Rewritten, ImageError> {
    let complaints = |tool: Tool| work.join(format!("{}.stderr", tool.program));
    let start = |tool: Tool, arguments: &[&std::ffi::OsStr], stdin: Stdio, stdout: Stdio| {
        let path = complaints(tool);
        let stderr = File::create_new(&path).map_err(ImageError::io("can't write", &path))?;
        let mut command = tool.command()?;
        command
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr);
        command
            .spawn()
            .map_err(|error| tool.failed("starting", error.to_string(), b""))
    };
    let word = |word: &'static str| std::ffi::OsStr::new(word);
    let unpack = [word("--no-skip"), word("--root-becomes"), word("."), old.as_os_str()];
    let mut reader = start(SQFS2TAR, &unpack, Stdio::null(), Stdio::piped())?;
    let mut pack = vec![word("--quiet"), word("--no-skip")];
    pack.extend(COMPRESSION.map(word));
    pack.push(new.as_os_str());
    let mut writer = start(TAR2SQFS, &pack, Stdio::piped(), Stdio::null())?;
    let now = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let flowed = match (reader.stdout.take(), writer.stdin.take()) {
        (Some(from), Some(to)) => rewrite(io::BufReader::new(from), io::BufWriter::new(to), changes, now),
        _ => Err(io::Error::other("a program has no pipe")),
    };
    // A program's own complaint says more than the pipe that broke by it.
    ended(
        SQFS2TAR,
        &mut reader,
        "unpacking the squashfs",
        &complaints(SQFS2TAR),
        flowed.is_err(),
    )?;
    ended(
        TAR2SQFS,
        &mut writer,
        "packing the squashfs",
        &complaints(TAR2SQFS),
        false,
    )?;
    flowed.map_err(ImageError::io("can't rewrite the archive of", old))
}

fn ended(tool: Tool, child: &mut Child, doing: &str, complaints: &Path, may_break: bool) -> Result<(), ImageError> {
    use std::os::unix::process::ExitStatusExt as _;
    let status = child
        .wait()
        .map_err(|error| tool.failed(doing, error.to_string(), b""))?;
    let was_cut_off = may_break && status.signal() == Some(nix::sys::signal::Signal::SIGPIPE as i32);
    if status.success() || was_cut_off {
        return Ok(());
    }
    let said = std::fs::read(complaints).unwrap_or_default();
    Err(tool.failed(doing, format!("ended with {status}"), &said))
}

fn facts(path: &Path) -> Result<ImageFacts, ImageError> {
    let read = "can't read";
    let sha256: Digest = digest(path, |_| ControlFlow::Continue(())).map_err(ImageError::io(read, path))?;
    let size_bytes = path.metadata().map_err(ImageError::io(read, path))?.len();
    let file = name_of(path);
    Ok(ImageFacts {
        file,
        size_bytes,
        sha256,
    })
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn change_facts(change: &Change) -> ChangeFacts {
    let mut what = change.to.as_str().to_owned();
    if let ChangeTo::NewLink(target) = &change.to {
        what = format!("{what}: {target}");
    }
    ChangeFacts {
        path: format!("/{}", change.path),
        what,
        why: change.why.to_owned(),
    }
}
