//! What a run shows: the audits of what was stored, the verdict on the requests, and how the processes ended.

use std::io::{self, BufReader};

use super::{evidence::Evidence, outcome::Findings, runner::Run, store::Store};
use crate::{
    audit::{AuditQuery, FieldMap, RecordFormat},
    verdict::{RuleOutcome, VerdictSettings},
};

/// The maximum number of examples of each finding of an audit.
const MAX_EXAMPLES: usize = 200;
/// The rule about parameters that the API ignores.
const IGNORED_INPUT: &str = "no_ignored_input";
/// The finding where the journal of the account is empty.
const NO_REQUEST: &str = "It made no request with a token of its account; one with another token, or none, gets 401.";

impl Run<'_> {
    /// What the audits, the verdict and the processes show.
    pub(super) fn judged(mut self) -> (Findings, Evidence) {
        let mut evidence = Evidence::new(&self.account, self.settings.category, self.scenario.since);
        evidence.said = self.stores.iter().map(Store::said).collect();
        // What a connector that was ended has at that instant is a matter of chance.
        if !self.findings.is_over() {
            if self.last_request() == 0 {
                self.findings.add(NO_REQUEST.to_owned());
            }
            if let Err(why) = self.audit(&mut evidence) {
                self.findings.add(format!("What it stored cannot be compared: {why}"));
            }
            if let Err(why) = self.judge_requests() {
                self.findings.add(why);
            }
        }
        self.findings.close(&self.store().last_error());
        (self.findings, evidence)
    }

    fn audit(&mut self, evidence: &mut Evidence) -> Result<(), String> {
        let map = self.map()?;
        let has_several = self.stores.len() > 1;
        for (store, until) in self.stores.iter().filter_map(|store| Some((store, store.until?))) {
            let mut query = AuditQuery::new(self.settings.category).window(self.scenario.since..until);
            query.map.clone_from(&map);
            query.examples = MAX_EXAMPLES;
            let records = store.records().map_err(|error| error.to_string())?;
            let report = match records {
                Some(file) => self.account.audit_stream(&query, RecordFormat::Json, BufReader::new(file)),
                None => self.account.audit_stream(&query, RecordFormat::Json, io::empty()),
            };
            let report = report.map_err(|error| error.to_string())?;
            self.findings.add_audit(&report, has_several.then_some(store.api));
            evidence.add_audit(&report);
        }
        Ok(())
    }

    fn judge_requests(&mut self) -> Result<(), String> {
        let ignored = &self.scenario.ignored_rules;
        let settings = VerdictSettings { disabled: ignored.clone(), ..VerdictSettings::default() };
        let verdict = self.account.verdict_with(&settings).map_err(|error| error.to_string())?;
        for rule in verdict.rules.iter().filter(|rule| rule.result == RuleOutcome::Fail) {
            self.findings.add_rule(rule.rule, &rule.sentence);
        }
        // A parameter that is misspelt explains what else was found.
        if let Some(rule) =
            verdict.rules.iter().find(|rule| rule.rule == IGNORED_INPUT && rule.result == RuleOutcome::Warn)
        {
            self.findings.explain(rule.rule, &rule.sentence);
        }
        Ok(())
    }

    /// Where the records have the fields that are compared.
    fn map(&self) -> Result<Option<FieldMap>, String> {
        let left_out = &self.scenario.not_compared;
        let map = self.settings.map.clone();
        if left_out.is_empty() {
            return Ok(map);
        }
        let map = map.unwrap_or_else(|| FieldMap::of_rows(self.settings.category));
        map.without(left_out).map(Some).map_err(|why| format!("{}: not_compared: {why}", self.scenario.name))
    }
}
