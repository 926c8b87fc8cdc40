//! Blobs on their way into registries: each at most once, mounted where that is possible, and never on disk or whole in
//! memory.
//!
//! Decides how a blob arrives (mounted, sent, or there already) and, when it does not, whose fault that was. Which blobs
//! are wanted is [`copy`](mod@crate::copy)'s and [`push`](mod@crate::push)'s business.

use std::sync::Arc;

use futures_util::{FutureExt, TryStreamExt};
use gantri_core::{BlobBody, Error, ErrorKind, Event, Limits, Mount, Observer, Result, send_body};
use gantri_spec::{ByteRange, Descriptor, Digest, RepositoryName};
use tokio::sync::Semaphore;

use crate::flight::{Flights, in_task};
use crate::place::{Place, RegistryId};
use crate::plan::Action;
use crate::tap::Tap;

/// Whether anything is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    Write,
    /// Only looks at what is there.
    Plan,
}

/// Where a blob's bytes come from.
#[derive(Debug)]
pub(crate) enum Supply {
    Place(Place),
    Body(BlobBody),
}

/// Whether a blob waits for its turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// One of so many at once.
    Waits,
    /// A config: small, and never behind layers.
    Passes,
}

/// All blobs that one job moves.
#[derive(Debug)]
pub(crate) struct Transfers {
    limits: Limits,
    observer: Arc<dyn Observer>,
    mode: Mode,
    turns: Semaphore,
    /// What is in which repository.
    arrived: Flights<(RegistryId, RepositoryName, Digest), ()>,
    /// The repository of each registry that had a blob first; the others mount it from there.
    first: Flights<(RegistryId, Digest), RepositoryName>,
}

impl Transfers {
    /// The limits are those of a job that has checked them.
    pub(crate) fn new(limits: Limits, observer: Arc<dyn Observer>, mode: Mode) -> Self {
        let turns = Semaphore::new(limits.concurrent_layers.min(Semaphore::MAX_PERMITS));
        Self { limits, observer, mode, turns, arrived: Flights::default(), first: Flights::default() }
    }

    pub(crate) fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Sees to it that a blob is in a repository; says how it came there, if nobody else of this job brought it.
    ///
    /// # Errors
    /// With the side and the blob in front.
    pub(crate) async fn bring(
        &self,
        blob: &Descriptor,
        supply: Supply,
        target: &Place,
        turn: Turn,
    ) -> Result<Option<Action>> {
        let arrived = self.arrived.at((target.registry_id(), target.repo.clone(), blob.digest.clone()));
        let mut action = None;
        let arrive = async {
            action = Some(self.arrive(blob, supply, target, turn).await?);
            Ok::<_, Error>(())
        };
        arrived.get_or_try_init(|| arrive).await?;
        Ok(action)
    }

    /// The same once more, of a blob that was there and is no longer.
    ///
    /// # Errors
    /// As [`bring`](Self::bring).
    pub(crate) async fn bring_again(&self, blob: &Descriptor, supply: Supply, target: &Place) -> Result<()> {
        self.carry(blob, supply, target, None, Turn::Waits).await.map(drop)
    }

    async fn arrive(&self, blob: &Descriptor, supply: Supply, target: &Place, turn: Turn) -> Result<Action> {
        let first = self.first.at((target.registry_id(), blob.digest.clone()));
        let (mut action, mut supply) = (None, Some(supply));
        let lead = async {
            if let Some(supply) = supply.take() {
                let from = mount_source(&supply, target);
                action = Some(self.carry(blob, supply, target, from, turn).await?);
            }
            Ok::<_, Error>(target.repo.clone())
        };
        let first = first.get_or_try_init(|| lead).await?;
        match (action, supply) {
            (None, Some(supply)) => {
                let from = target.registry.guards_content().then(|| first.clone());
                self.carry(blob, supply, target, from, turn).await
            }
            (action, _) => Ok(action.unwrap_or(Action::Skip)),
        }
    }

    async fn carry(
        &self,
        blob: &Descriptor,
        supply: Supply,
        target: &Place,
        from: Option<RepositoryName>,
        turn: Turn,
    ) -> Result<Action> {
        let (observer, limits) = (Arc::clone(&self.observer), self.limits.clone());
        let shipment = Shipment { blob: blob.clone(), target: target.clone(), from, observer, limits };
        if self.mode == Mode::Plan {
            return shipment.foresee().boxed().await;
        }
        let _turn = match turn {
            Turn::Waits => Some(self.turns.acquire().await.map_err(|_| closed())?),
            Turn::Passes => None,
        };
        // On the heap: thousands of these may wait for their turn.
        in_task(shipment.run(supply).boxed()).await
    }
}

/// Where a registry can take a blob from, if the source is that registry. One whose content others may have harmed is
/// given the bytes, to look at what it has.
fn mount_source(supply: &Supply, target: &Place) -> Option<RepositoryName> {
    match supply {
        Supply::Place(source) if source.can_be_mounted_in(target) => {
            target.registry.guards_content().then(|| source.repo.clone())
        }
        _ => None,
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Io, "the job has ended")
}

/// One blob for one repository.
struct Shipment {
    blob: Descriptor,
    target: Place,
    /// The repository of the same registry that has it.
    from: Option<RepositoryName>,
    observer: Arc<dyn Observer>,
    limits: Limits,
}

impl Shipment {
    async fn run(self, supply: Supply) -> Result<Action> {
        let (registry, repo) = (&self.target.registry, &self.target.repo);
        let mut session = None;
        if let Some(from) = &self.from {
            let mount = registry.mount_blob(repo, &self.blob.digest, Some(from)).await;
            match mount.map_err(|error| at_side("target", "blob", &self.blob.digest, error))? {
                Mount::Mounted => {
                    self.observer.event(&Event::Mounted(&self.blob));
                    return Ok(Action::Mount);
                }
                Mount::Started(upload) => session = Some(upload),
                _ => {}
            }
        }
        let source = match &supply {
            Supply::Place(source) => Some(source.clone()),
            Supply::Body(_) => None,
        };
        let tap = Tap::new(self.blob.clone(), Arc::clone(&self.observer));
        let body = match supply {
            Supply::Place(source) => tap.read(source),
            Supply::Body(body) => tap.watch(body),
        };
        let sent = match session {
            Some(upload) => send_body(upload, &self.blob, body, &self.limits).await,
            None => registry.put_blob(repo, &self.blob, body).await,
        };
        if let Err(error) = sent {
            return Err(self.blame(&tap, source.as_ref(), error).await);
        }
        if tap.was_opened() {
            self.observer.event(&Event::Finished(&self.blob));
            return Ok(Action::Send);
        }
        self.observer.event(&Event::Skipped(&self.blob));
        Ok(Action::Skip)
    }

    /// What [`run`](Self::run) would do.
    async fn foresee(&self) -> Result<Action> {
        match self.target.registry.resolve_blob(&self.target.repo, &self.blob.digest).await {
            Ok(found) if found.size == self.blob.size => Ok(Action::Skip),
            Err(error) if !is_absent(error.kind()) => Err(at_side("target", "blob", &self.blob.digest, error)),
            _ if self.from.is_some() => Ok(Action::Mount),
            _ => Ok(Action::Send),
        }
    }

    /// Whose fault it was that a blob did not arrive.
    ///
    /// What a verifier on this side says of the bytes is the source's fault. A registry that refuses bytes which a store
    /// vouched for may be right or wrong: the source is read once more, to tell the truth.
    async fn blame(&self, tap: &Tap, source: Option<&Place>, error: Error) -> Error {
        let digest = &self.blob.digest;
        let of_source = |error| match source {
            Some(_) => at_side("source", "blob", digest, error),
            None => error,
        };
        if let Some(own) = tap.failure() {
            return of_source(own);
        }
        let is_mismatch = matches!(error.kind(), ErrorKind::DigestMismatch | ErrorKind::SizeMismatch);
        if is_mismatch && error.status().is_none() {
            return of_source(error);
        }
        if let Some(source) = source
            && (is_mismatch || error.kind() == ErrorKind::UploadInvalid)
            && let Err(found) = self.read_through(source).await
        {
            return at_side("source", "blob", digest, found);
        }
        at_side("target", "blob", digest, error)
    }

    async fn read_through(&self, source: &Place) -> Result<()> {
        let reader = source.registry.blob(&source.repo, &self.blob.digest, ByteRange::Full).await?;
        let chunks = gantri_core::verify(&self.blob, reader.into_unverified());
        chunks.try_for_each(|_| std::future::ready(Ok(()))).await
    }
}

/// Says on which side something failed, and with which object, if the error does not name it already.
pub(crate) fn at_side(side: &str, what: &str, digest: &Digest, error: Error) -> Error {
    if error.to_string().contains(digest.as_str()) {
        return error.during(side);
    }
    error.during(format_args!("{side}: {what} {digest}"))
}

/// Whether something is not there, as against not to be had.
pub(crate) fn is_absent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::BlobUnknown | ErrorKind::ManifestUnknown | ErrorKind::RepositoryUnknown)
}
