//! A registry that leads astray: every URL that it may supply, in every hostile form, from every side of a network. What is
//! watched is the network itself, below names and TLS: nobody is reached who must not be, and no secret arrives anywhere but
//! where it belongs (rows A1 to A7).
//!
//! Plain http is allowed throughout, by the user's word: the rule that https leads nowhere else would hide the others.

mod beside;
mod forms;
mod network;

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::TryStreamExt;
use gantri_core::{Discover, Pull, Push};
use gantri_remote::{Credential, Dial, PlainHttp, Remote, Resolve};
use gantri_spec::{Algorithm, Digest};

use self::forms::{FORMS, Leads, names};
use self::network::{Asked, Network, answer};
use crate::script::{repo, tag};

const PASSWORD: &str = "canary-p4ss/+=";
const TOKEN: &str = "canary-t0ken";
const IDENTITY: &str = "canary-1dentity";

/// What a registry says where somebody goes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Realm,
    /// The redirect that is the so-many-th on the way.
    Redirect(u32),
    /// The `Location` of an upload that starts.
    Upload,
    /// The `Location` of an upload that goes on.
    Onward,
    /// The `Location` of an upload that starts where its start was redirected to.
    Elsewhere,
    NextPage,
}

const PLACES: [Place; 9] = [
    Place::Realm,
    Place::Redirect(1),
    Place::Redirect(2),
    Place::Redirect(3),
    Place::Redirect(4),
    Place::Redirect(5),
    Place::Upload,
    Place::Onward,
    Place::NextPage,
];
const FEWER: [Place; 5] = [Place::Realm, Place::Redirect(1), Place::Redirect(5), Place::Onward, Place::NextPage];

/// A registry, what it leads to on the way, and where the rules let it lead.
#[derive(Clone, Copy, Debug)]
struct Scene {
    host: &'static str,
    /// Its address.
    home: &'static str,
    hop: &'static str,
    /// The address of that.
    hop_at: &'static str,
    reach: &'static [Leads],
}

const PUBLIC: Scene = Scene {
    host: "registry.test",
    home: "93.184.216.34:80",
    hop: "cdn.test",
    hop_at: "93.184.216.40:80",
    reach: &[Leads::Public],
};
const INSIDE: Scene = Scene {
    host: "inside.test",
    home: "10.0.0.5:80",
    hop: "storage.inside.test",
    hop_at: "10.0.0.7:80",
    reach: &[Leads::Public, Leads::Private],
};
const INSIDE_BY_ADDRESS: Scene = Scene {
    host: "[fd00::5]:5000",
    home: "[fd00::5]:5000",
    hop: "[fd00::7]:9000",
    hop_at: "[fd00::7]:9000",
    reach: &[Leads::Public, Leads::Private],
};
const LOOPBACK: Scene = Scene {
    // Not 127.0.0.1: the same host without its port is a proxy's fault, which is put right (A5).
    host: "127.0.0.9:5000",
    home: "127.0.0.9:5000",
    hop: "localhost:9000",
    hop_at: "127.0.0.1:9000",
    reach: &[Leads::Public, Leads::Loopback],
};
/// A registry inside whose storage stands outside, and leads back in.
const BACK_IN: Scene = Scene { hop: "cdn.test", hop_at: "93.184.216.40:80", reach: &[Leads::Public], ..INSIDE };

impl Scene {
    /// The answers of the registry and of what it leads to on its way to `url`; everybody else asks for secrets.
    fn answer(&self, place: Place, url: &str, asked: &Asked) -> Vec<u8> {
        let is_at = |address: &str| asked.at.to_string() == address;
        let hops = asked.target().strip_prefix("/hop/").map(|hop| hop.parse::<u32>().unwrap());
        match hops {
            Some(_) if is_at(self.hop_at) && place == Place::Elsewhere => answer(202, &[("location", url)], ""),
            Some(hop) if is_at(self.hop_at) => self.redirect(place, url, hop + 1),
            None if is_at(self.home) => self.home_answer(place, url, asked),
            _ => {
                let bait = [
                    ("www-authenticate", r#"Basic realm="evil""#),
                    ("www-authenticate", r#"Bearer realm="http://evil.test/token",service="evil""#),
                ];
                answer(401, &bait, "")
            }
        }
    }

    fn home_answer(&self, place: Place, url: &str, asked: &Asked) -> Vec<u8> {
        if asked.target().starts_with("/token") {
            return answer(200, &[], format!(r#"{{"token":"{TOKEN}"}}"#));
        }
        if asked.header("authorization").is_none() {
            let own = format!("http://{}/token", self.host);
            let realm = if place == Place::Realm { url.replace('\\', r"\\") } else { own };
            return answer(401, &[("www-authenticate", &format!(r#"Bearer realm="{realm}",service="s""#))], "");
        }
        match (place, asked.method()) {
            (Place::Redirect(_), _) | (Place::Elsewhere, "POST") => self.redirect(place, url, 1),
            (Place::Upload, "POST") => answer(202, &[("location", url)], ""),
            (Place::Onward, "POST") => answer(202, &[("location", "/upload")], ""),
            (Place::Onward, "PATCH") => answer(202, &[("location", url), ("range", "0-9")], ""),
            (Place::NextPage, _) => {
                answer(200, &[("link", &format!(r#"<{url}>; rel="next""#))], r#"{"name":"a/b","tags":["v1"]}"#)
            }
            _ => answer(404, &[], ""),
        }
    }

    fn redirect(&self, place: Place, url: &str, hop: u32) -> Vec<u8> {
        let next = format!("http://{}/hop/{hop}", self.hop);
        let to = if place == Place::Redirect(hop) { url } else { &next };
        answer(307, &[("location", to)], "")
    }

    fn remote(&self, network: &Arc<Network>, credential: Credential, plain_http: PlainHttp) -> Remote {
        Remote::builder(self.host.parse().unwrap())
            .plain_http(plain_http)
            .credentials(Arc::new(credential))
            .resolver(Arc::clone(network) as Arc<dyn Resolve>)
            .dialer(Arc::clone(network) as Arc<dyn Dial>)
            .build()
            .unwrap()
    }

    /// Plays the scene. Gives whether anybody was reached beyond the registry and what it rightly leads to.
    async fn play(&self, place: Place, (url, leads): (&str, Leads), who: Who) -> bool {
        let (scene, supplied) = (*self, url.to_owned());
        let network = Network::new(names, move |asked| scene.answer(place, &supplied, asked));
        let remote = self.remote(&network, who.credential(), who.plain_http());
        act(&remote, place).await;
        let name = Case { scene: self.host, place, url, who };
        let mut beyond = false;
        for heard in network.heard() {
            let at = heard.at.to_string();
            let is_known = [self.home, self.hop_at].contains(&at.as_str());
            assert!(is_known || self.reach.contains(&leads), "{name}: {at} was reached");
            beyond |= !is_known;
            for secret in secrets() {
                let told = heard.bytes.windows(secret.len()).any(|window| window == secret);
                assert!(at == self.home || !told, "{name}: a secret arrived at {at}");
            }
        }
        beyond
    }

    /// Every form in each of these places. Whoever may be reached is reached, for the rules must not be tighter than they
    /// are meant to be.
    async fn play_all(&self, places: &[Place]) {
        let mut wrong = Vec::new();
        for place in places.iter().copied() {
            for form in FORMS {
                let who = if place == Place::Realm { Who::Nobody } else { Who::InTheClear };
                let reached = self.play(place, *form, who).await;
                // A realm is never relative to anything, and has no fragment.
                let realm = place != Place::Realm || !(form.0.starts_with("//") || form.0.contains('#'));
                if reached != (self.reach.contains(&form.1) && place != Place::NextPage && realm) {
                    wrong.push(Case { scene: self.host, place, url: form.0, who }.to_string());
                }
            }
        }
        assert!(wrong.is_empty(), "reached although it must not be, or the other way: {wrong:#?}");
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Who {
    Nobody,
    Named,
    Exchanged,
    /// Somebody whose secrets may travel in the clear.
    InTheClear,
}

impl Who {
    fn credential(self) -> Credential {
        match self {
            Self::Nobody => Credential::Anonymous,
            Self::Named | Self::InTheClear => Credential::basic("me", PASSWORD),
            Self::Exchanged => Credential::IdentityToken(IDENTITY.into()),
        }
    }

    fn plain_http(self) -> PlainHttp {
        if self == Self::InTheClear { PlainHttp::AlwaysWithSecrets } else { PlainHttp::Always }
    }
}

struct Case<'a> {
    scene: &'a str,
    place: Place,
    url: &'a str,
    who: Who,
}

impl fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} of {} for {:?}", self.place, self.url, self.scene, self.who)
    }
}

/// Every secret in the forms in which it could be told.
fn secrets() -> Vec<Vec<u8>> {
    let basic = BASE64_STANDARD.encode(format!("me:{PASSWORD}"));
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let tokens = [TOKEN, IDENTITY].map(|token| BASE64_STANDARD.encode(format!("<token>:{token}")));
    let plain = [PASSWORD, TOKEN, IDENTITY].map(str::to_owned);
    let plain = plain.into_iter().chain([encoded(PASSWORD), BASE64_STANDARD.encode(PASSWORD), basic]);
    plain.chain(tokens).map(String::into_bytes).collect()
}

/// Does what leads to the URL. How it ends is not what is looked at.
async fn act(remote: &Remote, place: Place) {
    match place {
        Place::Realm | Place::Redirect(_) => drop(remote.manifest(&repo(), &tag("v1")).await),
        Place::Upload | Place::Onward | Place::Elsewhere => {
            let Ok(mut upload) = remote.start_upload(&repo(), Algorithm::Sha256).await else { return };
            let body = Bytes::from_static(b"0123456789");
            let _ = upload.write(body.clone()).await;
            let session = upload.session();
            let _ = upload.commit(&Digest::of(&body)).await;
            // What was written down is no way around.
            if let Ok(upload) = remote.resume_upload(&repo(), session).await {
                let _ = upload.cancel().await;
            }
        }
        Place::NextPage => drop(remote.tags(&repo(), None).try_collect::<Vec<_>>().await),
    }
}

/// A2 to A7, one test for each side of the network that a registry may stand on.
#[tokio::test(start_paused = true)]
async fn a_registry_on_the_public_internet_leads_nobody_inside() {
    assert!(FORMS.len() >= 90);
    PUBLIC.play_all(&PLACES).await;
}

#[tokio::test(start_paused = true)]
async fn a_registry_inside_leads_to_its_own_side_alone() {
    INSIDE.play_all(&FEWER).await;
    INSIDE_BY_ADDRESS.play_all(&FEWER).await;
}

#[tokio::test(start_paused = true)]
async fn a_registry_on_this_machine_leads_to_this_machine_alone() {
    LOOPBACK.play_all(&FEWER).await;
}

/// A7: what a registry inside leads to outside leads nobody back in.
#[tokio::test(start_paused = true)]
async fn what_stands_outside_leads_nobody_in() {
    BACK_IN.play_all(&[Place::Redirect(2), Place::Redirect(5), Place::Elsewhere]).await;
}

/// A2, A12: a realm over http gets no password and no identity token of a registry on the public internet, whatever the user
/// allowed; nor of one inside, unless it stands beside it.
#[tokio::test(start_paused = true)]
async fn no_realm_in_the_clear_gets_a_secret_that_is_not_its_own() {
    for scene in [PUBLIC, INSIDE, INSIDE_BY_ADDRESS] {
        for who in [Who::Named, Who::Exchanged, Who::InTheClear] {
            let beside = who == Who::InTheClear && scene.host != PUBLIC.host;
            for form in FORMS.iter().filter(|form| !form.0.starts_with("https:")) {
                // Beside it a token server may know the secret: `beside` tells so.
                if !(beside && form.1 == Leads::Private) {
                    scene.play(Place::Realm, *form, who).await;
                }
            }
        }
    }
}
