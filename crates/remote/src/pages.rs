//! Listings that come in pages: what is next is for the registry's `Link` to say, and nothing else. A short page is never
//! taken for the last one, for registries cap what was asked for.
//!
//! Links are followed within the registry's own origin only (A6), and only as long as they lead somewhere (M11).

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt, TryStreamExt, iter, try_unfold};
use gantri_core::{Error, ErrorKind, Result};
use gantri_spec::wire::{Endpoint, link};
use http::header::LINK;
use http::{Method, StatusCode};

use crate::http::policy::{Admitted, Purpose};
use crate::remote::Remote;
use crate::transport::{Bound, Request, Whole};

/// What is listed: how it is asked for, and how a page of it is read.
pub(crate) struct Listing<T> {
    pub(crate) first: Endpoint,
    /// What errors call it.
    pub(crate) what: String,
    /// What a 404 without a code means.
    pub(crate) absent: ErrorKind,
    /// Reads a page: each item with the key that tells it from others.
    pub(crate) read: fn(&Whole) -> Result<Items<T>>,
}

/// What stands on a page, each with its key.
pub(crate) type Items<T> = Vec<(Arc<str>, T)>;

/// All items of all pages, as they are asked for.
pub(crate) fn items<T: Send + 'static>(remote: Remote, listing: Listing<T>) -> BoxStream<'static, Result<T>> {
    let walk =
        Walk { remote, listing, next: Next::First, seen: HashSet::new(), last: HashSet::new(), pages: 0, items: 0 };
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
    next: Next,
    /// The pages that have been asked for.
    seen: HashSet<String>,
    /// The keys of the last page.
    last: HashSet<Arc<str>>,
    pages: u32,
    items: u64,
}

enum Next {
    First,
    Link(Admitted),
    Nothing,
}

impl<T> Walk<T> {
    async fn page(&mut self) -> Result<Option<Vec<T>>> {
        let limits = self.remote.limits();
        if matches!(self.next, Next::Nothing) {
            return Ok(None);
        }
        if self.pages >= limits.list_pages {
            return Err(Error::limit("listing", "list_pages", limits.list_pages));
        }
        let bound = Bound("list_page", limits.list_page);
        let whole = self.remote.transport().fetch(bound, || self.request()).await?;
        let items = if whole.head.status == StatusCode::NO_CONTENT { Vec::new() } else { (self.listing.read)(&whole)? };
        self.pages += 1;
        self.items += items.len() as u64;
        if self.items > limits.list_items {
            return Err(Error::limit("listing", "list_items", limits.list_items));
        }
        self.next = self.after(&whole)?;
        self.check_progress(&items)?;
        self.last = items.iter().map(|(key, _)| Arc::clone(key)).collect();
        Ok(Some(items.into_iter().map(|(_, item)| item).collect()))
    }

    fn request(&self) -> Request {
        let what = self.listing.what.clone();
        let request = match &self.next {
            Next::Link(to) => Request::to(Method::GET, to.clone(), self.listing.first.scope(), what),
            Next::First | Next::Nothing => self.remote.request(&self.listing.first, what),
        };
        request.absent(self.listing.absent)
    }

    /// Where the page says to go on: at the registry itself (A6), and nowhere twice (M11).
    fn after(&mut self, whole: &Whole) -> Result<Next> {
        let values = whole.head.headers.get_all(LINK);
        let Some(target) = link::next(values.iter().filter_map(|value| value.to_str().ok())) else {
            return Ok(Next::Nothing);
        };
        let to = self.remote.admit(Purpose::NextPage, &whole.url, &target)?;
        self.seen.insert(whole.url.to_string());
        if self.seen.contains(to.url.as_str()) {
            return Err(Error::new(ErrorKind::Protocol, "listing: the next page is one that was read already"));
        }
        Ok(Next::Link(to))
    }

    /// A page that adds nothing and still leads on would do so for ever (M11).
    fn check_progress(&self, items: &[(Arc<str>, T)]) -> Result<()> {
        let leads_on = matches!(self.next, Next::Link(_));
        if leads_on && items.iter().all(|(key, _)| self.last.contains(key)) {
            return Err(Error::new(ErrorKind::Protocol, "listing: a page with nothing new leads to another one"));
        }
        Ok(())
    }
}
