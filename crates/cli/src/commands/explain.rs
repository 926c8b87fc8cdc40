//! `explain`: for a reference, where it leads, how each place is spoken to, and which file and line says so. Sends nothing,
//! and shows no secret.

use std::fmt::Write as _;

use gantri::config::{Endpoint, Route, Said, Scheme, ShortName, Stop, Told};
use gantri::spec::wire::Scope;
use gantri::{Error, Reference, display_untrusted};
use serde_json::{Value, json};

use crate::args::Global;
use crate::context::{Context, Settings, reference};
use crate::failure::Failure;

/// Prints it.
pub(crate) async fn run(global: &Global, typed: &str) -> Result<(), Failure> {
    let context = Context::new(global, Settings::default())?;
    let (typed, named) = (reference(typed)?, context.configuration.short_name(typed)?);
    let meant = named.as_ref().and_then(|name| name.candidates.first()).unwrap_or(&typed);
    let route = context.configuration.route(meant)?;
    let target = context.configuration.target(meant);
    let shown = Shown { context: &context, reference: meant, named: named.as_ref() };
    let (text, json) = shown.route(&route, &target);
    Ok(context.output.text_or(&text, &json).await?)
}

/// What is shown of a reference.
struct Shown<'a> {
    context: &'a Context,
    reference: &'a Reference,
    named: Option<&'a ShortName>,
}

/// A line of what is said about a place: what, the value, and who says so.
type Line = (&'static str, String, Option<Said>);

impl Shown<'_> {
    fn route(&self, route: &Route, target: &Result<Stop, Error>) -> (String, Value) {
        let mut text = format!("{}\n", self.reference);
        let mut names = Vec::new();
        if let Some(name) = self.named.filter(|name| name.said.is_some() || name.candidates.len() > 1) {
            let said = name.said.as_ref().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  short name  {said}");
            for other in name.candidates.iter().skip(1) {
                let _ = writeln!(text, "  else        {other}");
            }
            names.extend(name.candidates.iter().map(ToString::to_string));
        }
        let mut places = Vec::new();
        let stops = route.mirrors.iter().map(|stop| ("mirror", stop)).chain([("origin", &route.origin)]);
        for (at, (role, stop)) in stops.enumerate() {
            let _ = writeln!(text, "{}. {role}", at + 1);
            places.push(self.place(role, stop, Direction::Read, &mut text));
        }
        text.push_str("written to\n");
        let written = match target {
            Ok(stop) => self.place("target", stop, Direction::Write, &mut text),
            Err(error) => {
                let _ = writeln!(text, "  nowhere     {error}");
                json!({ "error": error.to_string() })
            }
        };
        for file in &route.files {
            let _ = writeln!(text, "read {}", file.display());
        }
        for note in &route.notes {
            let _ = writeln!(text, "note {note}");
        }
        let json = json!({
            "reference": self.reference.to_string(),
            "shortName": names,
            "readFrom": places,
            "writtenTo": written,
            "files": route.files,
            "notes": route.notes,
        });
        (text, json)
    }

    fn place(&self, role: &str, stop: &Stop, direction: Direction, text: &mut String) -> Value {
        let mut lines: Vec<Line> = vec![("at", self.at(stop), stop.said.clone())];
        if role == "mirror" {
            let serves = match (stop.serves.digests(), stop.serves.tags()) {
                (true, true) => "tags and content",
                (true, false) => "content by digest",
                (false, _) => "tags",
            };
            lines.push(("asked for", serves.to_owned(), None));
        }
        lines.extend(self.endpoint(&stop.endpoint));
        lines.push(("credentials", self.credentials(stop), None));
        lines.push(("scope", self.scope(stop, direction), None));
        let mut place = serde_json::Map::new();
        place.insert("role".to_owned(), role.into());
        for (what, value, said) in lines {
            let value = display_untrusted(&value);
            let by = said.as_ref().map(|said| format!("  ({said})")).unwrap_or_default();
            let _ = writeln!(text, "  {what:<11} {value}{by}");
            let entry = json!({ "value": value, "said": said.map(|said| said.to_string()) });
            match place.entry(what) {
                serde_json::map::Entry::Vacant(vacant) => drop(vacant.insert(json!([entry]))),
                serde_json::map::Entry::Occupied(mut there) => {
                    there.get_mut().as_array_mut().into_iter().for_each(|list| list.push(entry.clone()));
                }
            }
        }
        place.into()
    }

    /// The URL below which the repository is.
    fn at(&self, stop: &Stop) -> String {
        let Endpoint { host, api_root, namespace, .. } = &stop.endpoint;
        let scheme = spoken(stop.endpoint.scheme_for(self.context.plain_http));
        let root = api_root.as_deref().unwrap_or("/v2");
        let repository = stop.repository.as_ref().unwrap_or_else(|| self.reference.repository());
        let query = namespace.as_ref().map(|of| format!("?ns={}", of.as_str())).unwrap_or_default();
        format!("{scheme}://{}{root}/{repository}{query}", host.authority())
    }

    fn endpoint(&self, endpoint: &Endpoint) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        let scheme = endpoint.scheme_for(self.context.plain_http);
        if scheme == Scheme::Http && endpoint.scheme.value != Scheme::Http {
            let why = if endpoint.host.is_loopback() { "a loopback host" } else { "--plain-http" };
            lines.push(("scheme", format!("http: {why}"), None));
        } else if endpoint.scheme.said.is_some() {
            lines.push(("scheme", spoken(scheme).to_owned(), endpoint.scheme.said.clone()));
        }
        if scheme != Scheme::Http {
            match &endpoint.skip_verify {
                Told { value: true, said, .. } => {
                    lines.push(("ca", "any: certificates are not checked".to_owned(), said.clone()));
                }
                _ => lines.push(("ca", "the system's".to_owned(), None)),
            }
            for root in &endpoint.certificates.roots {
                lines.push(("ca", root.value.display().to_string(), root.said.clone()));
            }
            for client in &endpoint.certificates.clients {
                lines.push(("client", client.value.certificate.display().to_string(), client.said.clone()));
            }
        }
        for header in &endpoint.headers {
            lines.push(("header", header.value.name.clone(), header.said.clone()));
        }
        if let Some(connect) = &endpoint.connect {
            lines.push(("connect", format!("within {:?}", connect.value), connect.said.clone()));
        }
        lines.push(self.proxy(endpoint));
        lines
    }

    fn proxy(&self, endpoint: &Endpoint) -> Line {
        let said = endpoint.proxy.as_ref().and_then(|proxy| proxy.said.clone());
        match endpoint.proxy_among(&self.context.proxies, self.context.plain_http) {
            Some(proxy) if said.is_none() => ("proxy", format!("{proxy}, by the environment"), None),
            Some(proxy) => ("proxy", proxy.to_string(), said),
            None => ("proxy", "none".to_owned(), None),
        }
    }

    /// Who is asked for credentials, never what they are.
    fn credentials(&self, stop: &Stop) -> String {
        let repository = stop.repository.as_ref().unwrap_or_else(|| self.reference.repository());
        match self.context.credentials.sources(&stop.endpoint.host, Some(repository)) {
            Ok(sources) if sources.is_empty() => "none".to_owned(),
            Ok(sources) => sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", else "),
            Err(error) => format!("can't be looked up: {error}"),
        }
    }

    fn scope(&self, stop: &Stop, direction: Direction) -> String {
        let repository = stop.repository.as_ref().unwrap_or_else(|| self.reference.repository());
        let scope = match direction {
            Direction::Read => Scope::pull(repository),
            Direction::Write => Scope::push(repository),
        };
        scope.to_string()
    }
}

fn spoken(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "http",
        Scheme::Either => "https, else http",
        _ => "https",
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Read,
    Write,
}
