use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

#[expect(clippy::unnecessary_wraps, reason = "it stands for an edit, which may fail")]
fn grown(text: Option<&[u8]>, by: &str) -> Result<Option<Text>> {
    let mut text = text.unwrap_or_default().to_vec();
    text.extend(by.bytes());
    Ok(Some(Text::new(text)))
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A16: whatever the file was before, and whoever made its directory, its owner alone reads it now.
#[tokio::test]
async fn a_file_is_its_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/dir/auth.json");
    assert!(replace(&path, &Limits::default(), |text| grown(text, "a")).await.unwrap());
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("a", 0o600));
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    replace(&path, &Limits::default(), |text| grown(text, "b")).await.unwrap();
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("ab", 0o600));
    assert_eq!(names(path.parent().unwrap()), ["auth.json"]);
}

/// An edit that fails, or has nothing to change, leaves the file and nothing else.
#[tokio::test]
async fn what_is_not_changed_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("auth.json");
    fs::write(&path, "a").unwrap();
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    assert!(!replace(&path, &Limits::default(), |_| Ok(None)).await.unwrap());
    let failed = replace(&path, &Limits::default(), |_| Err(Error::new(ErrorKind::Config, "no"))).await;
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(
        (fs::read_to_string(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap()),
        ("a".into(), before)
    );
    assert_eq!(names(dir.path()), ["auth.json"]);
    // What can't be written leaves no rest either.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(replace(&path, &Limits::default(), |text| grown(text, "b")).await.is_err());
    assert_eq!(names(dir.path()), ["auth.json"]);
}

/// Who keeps his files elsewhere and links to them still has the link.
#[tokio::test]
async fn a_link_stays_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::create_dir_all(&real).unwrap();
    fs::write(real.join("config.json"), "a").unwrap();
    fs::create_dir(&link).unwrap();
    symlink("../real/config.json", link.join("config.json")).unwrap();
    replace(&link.join("config.json"), &Limits::default(), |text| grown(text, "b")).await.unwrap();
    assert!(fs::symlink_metadata(link.join("config.json")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(real.join("config.json")).unwrap(), "ab");
    assert_eq!(names(&real), ["config.json"]);
}

/// Whoever has the lock is waited for, and not for ever.
#[tokio::test]
async fn a_lock_is_waited_for_with_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("auth.json");
    let held = File::open(dir.path()).unwrap();
    held.lock().unwrap();
    let mut limits = Limits::default();
    limits.credential_lock = Duration::from_millis(50);
    let error = replace(&path, &limits, |text| grown(text, "a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().ends_with("somebody else has it for 50ms (limit credential_lock)"), "{error}");
    assert!(!path.exists());
    let limits = Limits::default();
    let (replaced, ()) = tokio::join!(replace(&path, &limits, |text| grown(text, "a")), async { drop(held) });
    assert!(replaced.unwrap());
}

/// Sixteen at once: each adds to what the others have written.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_loses_what_another_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("auth.json");
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let path = path.clone();
        tasks.spawn(async move {
            replace(&path, &Limits::default(), |text| grown(text, &format!("{number:x}"))).await.unwrap()
        });
    }
    assert!(tasks.join_all().await.into_iter().all(|changed| changed));
    let mut written: Vec<char> = fs::read_to_string(&path).unwrap().chars().collect();
    written.sort_unstable();
    assert_eq!(written.into_iter().collect::<String>(), "0123456789abcdef");
}
