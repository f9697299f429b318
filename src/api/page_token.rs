//! The opaque `token` of `POST /o/api/v3.2/logs` and `POST /o/api/v3.3/logs`.
//!
//! A page token carries the whole query, with the window and the time of the first page. Events that happen while a
//! client reads the pages therefore neither shift nor duplicate entries (C: clients rely on it). The token is signed
//! with a key of the account: a modified token, or a token of another account, is rejected. The server stores nothing,
//! so a token remains valid after a restart with the same configuration. It expires only if the profile sets
//! `page_token_life_seconds`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::Mac;

use crate::{
    account::{
        self, AccountConfig,
        injected::Snapshot,
        listing::{PageQuery, PageStart, Position},
    },
    world::{AgentType, Category, Filter, Millis, Order, Window},
};

/// The version of the layout; tokens with another version are rejected.
const VERSION: u8 = 4;
/// The length of the truncated signature.
const SIGNATURE_BYTES: usize = 16;
/// The maximum length of a token; the server never issues a longer one.
const MAX_CHARACTERS: usize = 2_048;

/// Encodes and signs the token of the page of a category that starts at `next`.
pub(super) fn seal(category: Category, query: &PageQuery, next: Position, config: &AccountConfig) -> String {
    let PageQuery { window, filter, take, order, seen_at, snapshot, .. } = query;
    let agents = filter.agents.as_ref().map_or(0, |agents| agents.iter().fold(0, |bits, &agent| bits | bit(agent)));
    // A limit is at most 100.
    let limit = u16::try_from(*take).unwrap_or(u16::MAX);
    let mut bytes = Vec::with_capacity(96);
    bytes.push(VERSION);
    bytes.push(category as u8);
    bytes.extend(window.from.0.to_be_bytes());
    bytes.extend(window.to.0.to_be_bytes());
    bytes.extend(seen_at.0.to_be_bytes());
    bytes.push(u8::from(*order == Order::OldestFirst));
    bytes.extend(next.generated.to_be_bytes());
    bytes.extend(next.injected.to_be_bytes());
    bytes.extend(snapshot.0.to_be_bytes());
    bytes.extend(limit.to_be_bytes());
    bytes.extend(filter.kinds.unwrap_or(u64::MAX).to_be_bytes());
    bytes.push(agents);
    bytes.extend(filter.search.as_deref().unwrap_or("").as_bytes());
    let signature = config.page_token_signer().chain_update(&bytes).finalize().into_bytes();
    bytes.extend(&signature[..SIGNATURE_BYTES]);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Verifies and decodes a token of this account: its category, and the query of its page. `None` for any other text.
pub(super) fn open(text: &str, config: &AccountConfig) -> Option<(Category, PageQuery)> {
    if text.len() > MAX_CHARACTERS {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (bytes, signature) = bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE_BYTES)?)?;
    if !account::is_signed(config.page_token_signer().chain_update(bytes), signature) {
        return None;
    }
    let (version, rest) = take::<1>(bytes)?;
    let (category, rest) = take::<1>(rest)?;
    let (from, rest) = take(rest)?;
    let (to, rest) = take(rest)?;
    let (seen_at, rest) = take(rest)?;
    let (order, rest) = take::<1>(rest)?;
    let (generated, rest) = take(rest)?;
    let (injected, rest) = take(rest)?;
    let (snapshot, rest) = take(rest)?;
    let (limit, rest) = take(rest)?;
    let (kinds, rest) = take(rest)?;
    let (agents, search) = take::<1>(rest)?;
    if version != [VERSION] {
        return None;
    }
    let kinds = Some(u64::from_be_bytes(kinds)).filter(|&kinds| kinds != u64::MAX);
    let agents: Vec<_> = AGENTS.into_iter().filter(|&agent| agents[0] & bit(agent) != 0).collect();
    let search = std::str::from_utf8(search).ok()?;
    let window = Window { from: Millis(i64::from_be_bytes(from)), to: Millis(i64::from_be_bytes(to)) };
    let category = Category::ALL.into_iter().find(|&candidate| candidate as u8 == category[0])?;
    let query = PageQuery {
        categories: category.into(),
        asked: window,
        window,
        filter: Filter {
            kinds,
            agents: (!agents.is_empty()).then_some(agents),
            search: (!search.is_empty()).then(|| search.to_owned()),
        },
        take: u16::from_be_bytes(limit).into(),
        order: if order == [1] { Order::OldestFirst } else { Order::NewestFirst },
        begin: PageStart::At(Position {
            generated: u64::from_be_bytes(generated),
            injected: u64::from_be_bytes(injected),
        }),
        snapshot: Snapshot(u64::from_be_bytes(snapshot)),
        seen_at: Millis(i64::from_be_bytes(seen_at)),
    };
    Some((category, query))
}

const AGENTS: [AgentType; 2] = [AgentType::Endpoint, AgentType::DomainController];

fn bit(agent: AgentType) -> u8 {
    1 << agent as u8
}

fn take<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    bytes.split_first_chunk().map(|(first, rest)| (*first, rest))
}
