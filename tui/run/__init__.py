"""A run as this process sees it: started, followed, and put into figures and words. No widgets."""
