//! Renders a template for one machine: pure, in one pass over the template. A value is copied and
//! never looked into, so nothing that a site, a user or a file puts into a value can be expanded.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::definition::{Definition, MachineVariables, OptionText, RenderError, Rendered};
use super::template::{self, DEADLINE, Form, MANAGER_CA, Meaning, OUTPUTS_TOKEN, Piece, Variable};
use super::urls::MachineUrls;
use vcycle_api::UserData;

/// What stands for a secret in the form for people.
const MASK: &str = "[secret]";

/// A value for a pattern.
struct Value<'a> {
    text: Cow<'a, str>,
    secret: bool,
}

impl Definition {
    /// The contextualisation of one machine. `limit` is the provider's
    /// ([`vcycle_api::Capabilities::user_data_limit`]), in bytes of the plain text.
    ///
    /// # Errors
    /// When the result is larger than `limit`; nothing may be created then.
    pub fn render(
        &self,
        variables: &MachineVariables<'_>,
        limit: usize,
    ) -> Result<Rendered, RenderError> {
        self.render_counted(variables, limit, str::len)
    }

    /// The same where the provider counts in its own way ([`vcycle_api::Observe::user_data_bytes`]).
    ///
    /// # Errors
    /// When the result is larger than `limit`.
    pub fn render_counted(
        &self,
        variables: &MachineVariables<'_>,
        limit: usize,
        count: impl Fn(&str) -> usize,
    ) -> Result<Rendered, RenderError> {
        let urls = MachineUrls::new(variables.base_url, variables.space, variables.machine);
        let mut text = String::with_capacity(self.template.len());
        let mut masked = String::with_capacity(self.template.len());
        for piece in template::pieces(&self.template) {
            match piece {
                Piece::Text(part) => {
                    text.push_str(part);
                    masked.push_str(part);
                }
                Piece::Pattern { name, .. } => {
                    let value = self.value(name, variables, &urls);
                    masked.push_str(if value.secret { MASK } else { &value.text });
                    text.push_str(&value.text);
                }
            }
        }
        let bytes = count(&text);
        if bytes > limit {
            return Err(RenderError::TooLarge { bytes, limit });
        }
        Ok(Rendered { user_data: UserData::new(text), masked })
    }

    fn value<'a>(
        &'a self,
        name: &str,
        variables: &'a MachineVariables<'_>,
        urls: &'a MachineUrls,
    ) -> Value<'a> {
        match template::meaning(name) {
            Meaning::Variable(variable) => Value {
                text: Cow::Borrowed(self.variable(variable, variables, urls)),
                secret: false,
            },
            Meaning::Option { name, form } => {
                let (text, secret) = self.option(name, variables);
                let text = match form {
                    Form::Plain => text,
                    Form::Base64 => Cow::Owned(STANDARD.encode(text.as_bytes())),
                };
                Value { text, secret }
            }
            Meaning::File(name) => {
                let (text, secret) = of_option(self.options.get(name));
                Value { text: Cow::Borrowed(text), secret }
            }
            Meaning::Unknown => Value { text: Cow::Borrowed(""), secret: false },
        }
    }

    fn option<'a>(
        &'a self,
        name: &str,
        variables: &'a MachineVariables<'_>,
    ) -> (Cow<'a, str>, bool) {
        let (text, secret) = match name {
            OUTPUTS_TOKEN => (variables.outputs_token, true),
            MANAGER_CA => (variables.manager_ca, false),
            DEADLINE => return (Cow::Owned(variables.deadline.as_secs().to_string()), false),
            declared => of_option(self.options.get(declared)),
        };
        (Cow::Borrowed(text), secret)
    }

    fn variable<'a>(
        &'a self,
        variable: Variable,
        variables: &'a MachineVariables<'_>,
        urls: &'a MachineUrls,
    ) -> &'a str {
        match variable {
            Variable::Site => variables.site,
            Variable::Space => variables.space.as_str(),
            Variable::Machinetype => variables.machinetype.as_str(),
            Variable::MachineHostname => variables.machine.as_str(),
            Variable::ManagerVersion => variables.manager_version,
            Variable::ManagerHostname => variables.manager_hostname,
            Variable::MachinefeaturesUrl => &urls.machinefeatures,
            Variable::JobfeaturesUrl => &urls.jobfeatures,
            Variable::JoboutputsUrl => &urls.joboutputs,
            Variable::HeartbeatMachinesUrl => &urls.heartbeatlists,
            Variable::RootImageUrl => {
                self.image.as_deref().filter(|image| is_url(image)).unwrap_or("")
            }
            Variable::Nothing => "",
        }
    }
}

fn is_url(image: &str) -> bool {
    image.starts_with("https://") || image.starts_with("http://")
}

fn of_option(option: Option<&OptionText>) -> (&str, bool) {
    option.map_or(("", false), |option| (&option.text, option.secret))
}
