//! Listings that come in pages: how each is asked for, and when there is no other.
//!
//! The registry's `Link` says what comes next, within its own origin only (A6). Where none comes though the page is as long
//! as was asked for, the next one is asked for by its last entry. Either way only as long as it leads somewhere (M11). What
//! a page means for the next step is decided in `step.rs`.

mod step;

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt, TryStreamExt, iter, try_unfold};
use gantri_core::{Error, ErrorKind, Result};
use gantri_spec::wire::{Endpoint, Page, link};
use http::header::LINK;
use http::{Method, StatusCode};

use self::step::{Heed, Step};
use crate::http::policy::{Admitted, Purpose, Speaker};
use crate::remote::Remote;
use crate::transport::{Bound, Request, Whole};

/// What is listed: how it is asked for, and how a page of it is read.
pub(crate) struct Listing<T> {
    pub(crate) first: Endpoint,
    /// What errors call it.
    pub(crate) what: String,
    /// What a 404 without a code means.
    pub(crate) absent: ErrorKind,
    /// Reads a page.
    pub(crate) read: fn(&Whole) -> Result<Entries<T>>,
}

/// What stands on a page: each entry as it is spelled there, which tells it from others, and what it is, if it is anything.
pub(crate) type Entries<T> = Vec<(Arc<str>, Option<T>)>;

/// All items of all pages, as they are asked for.
pub(crate) fn items<T: Send + 'static>(remote: Remote, listing: Listing<T>) -> BoxStream<'static, Result<T>> {
    let mut ask = listing.first.clone();
    let after = page_of(&mut ask).and_then(|page| page.last.clone());
    let walk = Walk {
        remote,
        listing,
        ask,
        after,
        heed: Heed::default(),
        next: Next::First,
        seen: HashSet::new(),
        known: HashSet::new(),
        pages: 0,
        items: 0,
    };
    try_unfold(walk, |mut walk| async move {
        match walk.page().await.map_err(|error| error.during(&walk.listing.what))? {
            Some(page) => Ok(Some((iter(page).map(Ok), walk))),
            None => Ok(None),
        }
    })
    .try_flatten()
    .boxed()
}

struct Walk<T> {
    remote: Remote,
    listing: Listing<T>,
    /// How the next page is asked for, if no link says.
    ask: Endpoint,
    /// The entry behind which the listing is to begin.
    after: Option<String>,
    heed: Heed,
    next: Next,
    /// The links that have been followed.
    seen: HashSet<String>,
    /// The entries of the last page; of all pages, where no link leads from one to the next.
    known: HashSet<Arc<str>>,
    pages: u32,
    items: u64,
}

enum Next {
    First,
    Link(Admitted),
    /// Behind the last entry.
    Behind,
    Nothing,
}

impl<T> Walk<T> {
    async fn page(&mut self) -> Result<Option<Vec<T>>> {
        if matches!(self.next, Next::Nothing) {
            return Ok(None);
        }
        let whole = self.fetch().await?;
        let mut entries =
            if whole.head.status == StatusCode::NO_CONTENT { Vec::new() } else { (self.listing.read)(&whole)? };
        self.count(entries.len())?;
        if self.begins_anew(&entries) {
            return Ok(Some(Vec::new()));
        }
        let first = matches!(self.next, Next::First);
        self.advance(&whole, &mut entries)?;
        if first && matches!(self.next, Next::Nothing) {
            // A list that has come whole is put in order: distribution before version 3 lists as its disk does.
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        let after = self.after.as_deref().filter(|_| self.heed != Heed::Taken);
        let wanted = entries.into_iter().filter(|(key, _)| after.is_none_or(|after| **key > *after));
        Ok(Some(wanted.filter_map(|(_, item)| item).collect()))
    }

    /// The next page. A registry that refuses pages as long as was asked for (ECR and distribution v3 say 400, Quay 413) is
    /// asked for shorter ones from then on.
    async fn fetch(&mut self) -> Result<Whole> {
        let limits = self.remote.limits().clone();
        loop {
            if self.pages >= limits.list_pages {
                return Err(Error::limit("listing", "list_pages", limits.list_pages));
            }
            self.pages += 1;
            let bound = Bound("list_page", limits.list_page);
            let error = match self.remote.transport().fetch(bound, || self.request()).await {
                Ok(whole) => return Ok(whole),
                Err(error) => error,
            };
            // What a link asks for is the registry's own idea.
            let own = !matches!(self.next, Next::Link(_));
            let Some(page) = page_of(&mut self.ask).filter(|_| own) else { return Err(error) };
            let Some(shorter) = page.n.and_then(|n| step::shorter(n, error.status())) else { return Err(error) };
            page.n = shorter;
            self.remote.habits().page.keep((), shorter);
        }
    }

    fn request(&self) -> Request {
        let what = self.listing.what.clone();
        let request = match &self.next {
            Next::Link(to) => Request::to(Method::GET, to.clone(), self.ask.scope(), what),
            Next::First | Next::Behind | Next::Nothing => self.remote.request(&self.ask, what),
        };
        request.absent(self.listing.absent)
    }

    fn count(&mut self, entries: usize) -> Result<()> {
        let limits = self.remote.limits();
        self.items += entries as u64;
        if self.items > limits.list_items {
            return Err(Error::limit("listing", "list_items", limits.list_items));
        }
        Ok(())
    }

    /// Looks at the first page whether it begins where it was told. Where entries come in no order, what stands behind one
    /// is not what comes after it: then all are asked for, and sorted out here.
    fn begins_anew(&mut self, entries: &Entries<T>) -> bool {
        let (Next::First, Some(after), Some(page)) = (&self.next, &self.after, page_of(&mut self.ask)) else {
            return false;
        };
        if page.last.is_none() {
            return false;
        }
        self.heed = Heed::shown(after, entries.iter().map(|(key, _)| &**key));
        if self.heed == Heed::InNoOrder {
            page.last = None;
        }
        self.heed == Heed::InNoOrder
    }

    /// Decides where it goes on, and takes out what has been listed before.
    fn advance(&mut self, whole: &Whole, entries: &mut Entries<T>) -> Result<()> {
        let link = self.link(whole)?;
        let asked = page_of(&mut self.ask).and_then(|page| page.n);
        let fresh = entries.iter().filter(|(key, _)| !self.known.contains(key)).count();
        let behind = matches!(self.next, Next::Behind);
        self.next = match (step::after(link.is_some(), asked, entries.len(), fresh)?, link) {
            (Step::Link, Some(link)) => {
                self.known = entries.iter().map(|(key, _)| Arc::clone(key)).collect();
                Next::Link(link)
            }
            (Step::Behind, _) => {
                if let (Some(page), Some((last, _))) = (page_of(&mut self.ask), entries.last()) {
                    page.last = Some(last.to_string());
                }
                if behind {
                    entries.retain(|(key, _)| !self.known.contains(key));
                }
                self.known.extend(entries.iter().map(|(key, _)| Arc::clone(key)));
                Next::Behind
            }
            _ => {
                if behind {
                    entries.retain(|(key, _)| !self.known.contains(key));
                }
                Next::Nothing
            }
        };
        Ok(())
    }

    /// Where the page says to go on: at the registry itself (A6), and nowhere twice (M11).
    fn link(&mut self, whole: &Whole) -> Result<Option<Admitted>> {
        let values = whole.head.headers.get_all(LINK);
        let Some(target) = link::next(values.iter().filter_map(|value| value.to_str().ok())) else {
            return Ok(None);
        };
        let to = self.remote.admit(Purpose::NextPage, Speaker { url: &whole.url, outside: false }, &target)?;
        self.seen.insert(whole.url.to_string());
        if self.seen.contains(to.url.as_str()) {
            return Err(Error::new(ErrorKind::Protocol, "listing: the next page is one that was read already"));
        }
        Ok(Some(to))
    }
}

/// The part of the listing that an endpoint asks for, if its grammar knows parts.
fn page_of(endpoint: &mut Endpoint) -> Option<&mut Page> {
    match endpoint {
        Endpoint::Tags { page, .. } | Endpoint::Repositories { page } => Some(page),
        _ => None,
    }
}
