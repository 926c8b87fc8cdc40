//! [`Configuration`]: which files are read, and when. What is found in them is put together in `route.rs`.
//!
//! Nothing is read before the first registry is asked for: a job on local places does not stumble over a broken file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gantri_core::{Error, ErrorKind, Result};

use super::certs_d::CertDirs;
use super::document;
use super::environment::Environment;
use super::registries_conf::{RegistriesConf, ShortName};

/// The configuration of registries that others share: containers `registries.conf`, containerd `hosts.toml` trees, docker's
/// and containers' `certs.d`.
///
/// The default reads none. [`from_environment`](Self::from_environment) is what podman and skopeo of the same user read; a
/// `hosts.toml` tree belongs to another program and is read only where it is named.
///
/// ```
/// use gantri::{Client, config::Configuration};
///
/// let configuration = Configuration::default().registries_conf("registries.conf").cert_dir("certs.d");
/// let client = Client::builder().configuration(configuration).build()?;
/// # Ok::<(), gantri::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Configuration {
    files: Files,
    pub(super) hosts_dir: Option<PathBuf>,
    pub(super) cert_dirs: CertDirs,
    read: Mutex<Option<Arc<Read>>>,
}

/// Where `registries.conf` is looked for.
#[derive(Clone, Debug, Default)]
struct Files {
    /// The first of these that is there.
    main: Vec<PathBuf>,
    /// The main file must be there: somebody has named it.
    named: bool,
    /// Directories of further files, each read in the order of the names, later ones overruling earlier ones.
    drop_ins: Vec<PathBuf>,
    /// The user's own main file; where it is there, it and this directory are all that counts.
    user: Option<(PathBuf, PathBuf)>,
    /// Read last, and must be there.
    overriding: Option<PathBuf>,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) registries: RegistriesConf,
    /// The files, in the order in which they were read.
    pub(super) files: Vec<PathBuf>,
}

impl Configuration {
    /// What podman and skopeo of this user read:
    ///
    /// * `$CONTAINERS_REGISTRIES_CONF` alone, if that is set; else `registries.conf` and `registries.conf.d/*.conf` of
    ///   `$XDG_CONFIG_HOME/containers` (default `~/.config/containers`), or of `/etc/containers` if there is no user's own,
    ///   then with the user's `registries.conf.d` last; else `/usr/share/containers/registries.conf`;
    /// * `$CONTAINERS_REGISTRIES_CONF_OVERRIDE` over all of them;
    /// * `certs.d` of the user's `containers`, of `/etc/containers` and of `/etc/docker`, where the user may look into them.
    pub fn from_environment() -> Self {
        Self::of(&Environment::of_process())
    }

    /// What a user with this environment reads.
    pub fn of(environment: &Environment) -> Self {
        Self::found_in(environment, Path::new("/"))
    }

    /// The same, with the machine's own directories below this one.
    pub(super) fn found_in(environment: &Environment, root: &Path) -> Self {
        let environment = |name: &str| environment.path(name);
        let own = environment("XDG_CONFIG_HOME").or_else(|| environment("HOME").map(|home| home.join(".config")));
        let own = own.map(|dir| dir.join("containers"));
        let system = root.join("etc/containers");
        let (file, drop_ins) = ("registries.conf", "registries.conf.d");
        let mut files = Files { overriding: environment("CONTAINERS_REGISTRIES_CONF_OVERRIDE"), ..Files::default() };
        if let Some(named) = environment("CONTAINERS_REGISTRIES_CONF") {
            files.main.push(named);
            files.named = true;
        } else {
            files.user = own.as_ref().map(|own| (own.join(file), own.join(drop_ins)));
            files.main = vec![system.join(file), root.join("usr/share/containers").join(file)];
            files.drop_ins = [&system].into_iter().chain(&own).map(|dir| dir.join(drop_ins)).collect();
        }
        let homes = own.into_iter().chain([system, root.join("etc/docker")]);
        let cert_dirs = CertDirs::Usual(homes.map(|dir| dir.join("certs.d")).collect());
        Self { files, cert_dirs, ..Self::default() }
    }

    /// Reads this `registries.conf`, and no other and no drop-in. It must be there.
    pub fn registries_conf(mut self, file: impl Into<PathBuf>) -> Self {
        self.files = Files { main: vec![file.into()], named: true, ..Files::default() };
        self
    }

    /// Reads this tree of `hosts.toml` files. A host that it knows, by its name or by `_default`, is as it says: of
    /// `registries.conf` only `blocked` then holds for it.
    pub fn hosts_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.hosts_dir = Some(dir.into());
        self
    }

    /// Reads certificates below this directory, `HOST[:PORT]/*.{crt,cert,key}`, and below no other.
    pub fn cert_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cert_dirs = CertDirs::Named(dir.into());
        self
    }

    /// What a short name like `alpine` stands for; `None` for what is no short name.
    ///
    /// # Errors
    /// `NameInvalid` if it may stand for several images and the configuration forbids to try; `Config` if a file can't be
    /// understood.
    pub fn short_name(&self, text: &str) -> Result<Option<ShortName>> {
        self.read()?.registries.short_names.resolve(text)
    }

    /// What in `registries.conf` was left out of account, as far as that has been read by now: keys that nobody knows, say.
    pub fn notes(&self) -> Vec<String> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.as_ref().map(|read| read.registries.notes.clone()).unwrap_or_default()
    }

    /// The files, read once.
    pub(super) fn read(&self) -> Result<Arc<Read>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = &*read {
            return Ok(Arc::clone(read));
        }
        Ok(Arc::clone(read.insert(Arc::new(self.files.read()?))))
    }
}

impl Files {
    fn read(&self) -> Result<Read> {
        let mut read = Read::default();
        let (mut main, mut drop_ins) = (self.main.clone(), self.drop_ins.as_slice());
        if let Some((file, dir)) = self.user.as_ref().filter(|(file, _)| file.exists()) {
            (main, drop_ins) = (vec![file.clone()], std::slice::from_ref(dir));
        }
        let mut found = false;
        for file in &main {
            found = read.take_in(file)?;
            if found {
                break;
            }
        }
        if let (true, false, Some(file)) = (self.named, found, main.first()) {
            return Err(missing(file));
        }
        for dir in drop_ins {
            for file in conf_files(dir)? {
                read.take_in(&file)?;
            }
        }
        if let Some(file) = &self.overriding
            && !read.take_in(file)?
        {
            return Err(missing(file));
        }
        Ok(read)
    }
}

impl Read {
    /// Whether the file is there.
    fn take_in(&mut self, file: &Path) -> Result<bool> {
        let Some(text) = document::read(file)? else { return Ok(false) };
        self.registries.merge(RegistriesConf::parse(file, &text)?);
        self.files.push(file.to_owned());
        Ok(true)
    }
}

fn missing(file: &Path) -> Error {
    Error::new(ErrorKind::Config, format!("read {}: no such file", file.display()))
        .with_hint("name a registries.conf that is there, or none")
}

/// The `*.conf` of a directory by name; none if there is no such directory. One that is closed to us is an error, other than
/// with certificates: what it may say is that something is blocked.
fn conf_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let unread = |error| Error::new(ErrorKind::Config, format!("read {}", dir.display())).with_source(error);
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unread(error)),
    };
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>().map_err(unread)?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "conf") && !file.is_dir());
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Each file aliases its own name, and all of them `who`.
    fn write(root: &Path, file: &str) -> PathBuf {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("[aliases]\nwho = \"h.test/{}\"\n", file.replace(['/', '.'], "-"))).unwrap();
        path
    }

    /// The files that are read, last the one that has the last word; relative to the root.
    fn order(root: &Path, set: &[(&str, &str)]) -> Result<Vec<String>> {
        let variables = [&[("HOME", "home")], set].concat();
        let environment = Environment::of(variables.into_iter().map(|(name, value)| (name, root.join(value))));
        let configuration = Configuration::found_in(&environment, root);
        let read = configuration.read()?;
        let files = read.files.iter().map(|file| file.strip_prefix(root).unwrap().display().to_string());
        let files: Vec<String> = files.collect();
        if let Some(last) = files.last() {
            let who = configuration.short_name("who")?.unwrap().candidates[0].repository().to_string();
            assert_eq!(who, last.replace(['/', '.'], "-"), "the last one overrules");
        }
        Ok(files)
    }

    /// containers-registries.conf.d(5), `CONFIGURATION PRECEDENCE`.
    #[test]
    fn files_are_read_in_the_order_of_the_manual() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(order(root, &[]).unwrap(), Vec::<String>::new());
        write(root, "usr/share/containers/registries.conf");
        assert_eq!(order(root, &[]).unwrap(), ["usr/share/containers/registries.conf"]);
        for file in ["etc/containers/registries.conf", "etc/containers/registries.conf.d/b.conf"] {
            write(root, file);
        }
        for ignored in ["etc/containers/registries.conf.d/a.txt", "etc/containers/registries.conf.d/sub/c.conf"] {
            write(root, ignored);
        }
        write(root, "home/.config/containers/registries.conf.d/a.conf");
        let system = ["etc/containers/registries.conf", "etc/containers/registries.conf.d/b.conf"];
        let own = "home/.config/containers/registries.conf.d/a.conf";
        assert_eq!(order(root, &[]).unwrap(), [system[0], system[1], own]);
        write(root, "home/.config/containers/registries.conf");
        assert_eq!(order(root, &[]).unwrap(), ["home/.config/containers/registries.conf", own]);
        write(root, "xdg/containers/registries.conf");
        assert_eq!(order(root, &[("XDG_CONFIG_HOME", "xdg")]).unwrap(), ["xdg/containers/registries.conf"]);
        write(root, "mine.conf");
        write(root, "over.conf");
        let named = [("CONTAINERS_REGISTRIES_CONF", "mine.conf")];
        assert_eq!(order(root, &named).unwrap(), ["mine.conf"]);
        let both = [named[0], ("CONTAINERS_REGISTRIES_CONF_OVERRIDE", "over.conf")];
        assert_eq!(order(root, &both).unwrap(), ["mine.conf", "over.conf"]);
        assert_eq!(order(root, &both[1..]).unwrap().last().unwrap(), "over.conf");
    }

    #[test]
    fn a_file_that_was_named_has_to_be_there() {
        let root = tempfile::tempdir().unwrap();
        for name in ["CONTAINERS_REGISTRIES_CONF", "CONTAINERS_REGISTRIES_CONF_OVERRIDE"] {
            let error = order(root.path(), &[(name, "no.conf")]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().ends_with("no.conf: no such file"), "{error}");
        }
    }

    #[test]
    fn nothing_is_read_before_it_is_needed_nor_by_default() {
        let broken = Configuration::default().registries_conf("/nowhere/registries.conf");
        assert!(format!("{broken:?}").contains("read: Mutex"));
        assert_eq!(broken.read().unwrap_err().kind(), ErrorKind::Config);
        assert!(Configuration::default().read().unwrap().files.is_empty());
    }
}
