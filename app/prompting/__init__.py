"""Words to and from a model, shared by the stages that ask one. Pure."""
