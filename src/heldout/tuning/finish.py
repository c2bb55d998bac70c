def finish(sweep, config, parent): pass
