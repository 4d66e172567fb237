"""A run as the app sees it: started, followed, and put into figures and words. No widgets."""
