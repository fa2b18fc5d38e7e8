unsqueeze
steady
